/** How often the peer is pinged. A stopped process keeps its socket open, so only silence shows that it is gone. */
const PING_INTERVAL_MS = 2_000;
/**
 * After this many pings without a sign of life, the peer counts as gone. Pings are counted, not time: if this process
 * itself was stopped, the answers are already in the socket, and are read before the next ping.
 */
const MAX_UNANSWERED_PINGS = 3;

export interface Liveness {
  start(): void;
  /** Call this for everything that arrives from the peer. */
  sign(): void;
  close(): void;
}

/** Pings the peer from `start` on, and calls `onSilence` once if the peer stays silent. */
export function createLiveness(deps: {
  readonly intervalMs: number | undefined;
  readonly ping: () => void;
  /** While reading is paused, answers stay unread, so silence means nothing. */
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
