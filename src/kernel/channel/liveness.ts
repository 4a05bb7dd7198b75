/** How often the peer is asked for a sign of life: a stopped process keeps its socket open and says nothing. */
const PING_INTERVAL_MS = 2_000;
/** So many pings without any sign of life in between mean that it is gone. Ticks, not time: if it was we who slept, the
 *  answers lie in the socket and are read before the next tick. */
const MAX_UNANSWERED_PINGS = 3;

export interface Liveness {
  start(): void;
  /** Something came from the peer. */
  sign(): void;
  close(): void;
}

/** Asks the peer for signs of life from `start` on, and calls `onSilence` (once) when none comes. */
export function createLiveness(deps: {
  readonly intervalMs: number | undefined;
  readonly ping: () => void;
  /** While nothing is read, answers lie unread and their absence says nothing. */
  readonly isPaused: () => boolean;
  readonly onSilence: () => void;
}): Liveness {
  let unanswered = 0;
  let timer: NodeJS.Timeout | undefined;
  const close = (): void => clearInterval(timer);
  const check = (): void => {
    if (deps.isPaused()) {
      unanswered = 0;
    } else if (unanswered >= MAX_UNANSWERED_PINGS) {
      close();
      deps.onSilence();
    } else {
      unanswered += 1;
      deps.ping();
    }
  };
  return {
    start: () => {
      timer = setInterval(check, deps.intervalMs ?? PING_INTERVAL_MS);
    },
    sign: () => {
      unanswered = 0;
    },
    close,
  };
}
