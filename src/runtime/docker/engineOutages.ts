/**
 * Remembers when the engine was away, to explain why containers ended: without live-restore, the engine ends its
 * containers when it stops or starts.
 */

/** A stopping engine refuses calls and gives its containers 15 s to end. Only then does its event stream end. */
const STOP_ALLOWANCE_MS = 20_000;
/** Older outages are not needed: a sweep finds all ends soon after the engine is back. */
const MAX_REMEMBERED = 16;

export interface EngineOutages {
  /** The engine is away. Repeated calls change nothing. */
  began(): void;
  ended(): void;
  /** Whether the engine was away at that time, or was stopping. */
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
