/** When the engine was away: an engine without live-restore ends its containers when it goes, or when it comes back. */

/** An engine that stops takes no calls any more, and gives its containers 15 s; only then its event stream ends. */
const STOP_ALLOWANCE_MS = 20_000;
/** Older ones explain nothing: ends are seen within a sweep of the engine's return. */
const MAX_REMEMBERED = 16;

export interface EngineOutages {
  /** Seen to be away; saying so again changes nothing. */
  began(): void;
  ended(): void;
  /** Whether it was away then, or about to be. */
  covers(at: Date): boolean;
}

export function createEngineOutages(now: () => Date): EngineOutages {
  const outages: { readonly from: number; to: number }[] = [];
  let isAway = false;
  return {
    began: () => {
      if (isAway) return;
      isAway = true;
      outages.push({ from: now().getTime() - STOP_ALLOWANCE_MS, to: Number.POSITIVE_INFINITY });
      if (outages.length > MAX_REMEMBERED) outages.shift();
    },
    ended: () => {
      const last = outages.at(-1);
      if (isAway && last) last.to = now().getTime();
      isAway = false;
    },
    covers: (at) => outages.some(({ from, to }) => from <= at.getTime() && at.getTime() <= to),
  };
}
