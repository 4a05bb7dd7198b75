/** Detects a reader that reads nothing, by comparing how many bytes are still unsent. */

/** Checks per timeout. The time of progress between two checks is unknown, so the cut is at most one interval late. */
const POLLS_PER_TIMEOUT = 4;

export interface ReaderWatch {
  /** Call this when a message is handed to the socket. */
  sending(): Sending;
}

export interface Sending {
  /** Call this when the operating system has taken the message, or never will. */
  readonly taken: () => void;
  /** Resolves when `taken` is called. */
  readonly isTaken: Promise<void>;
}

export interface ReaderWatchDeps {
  readonly timeoutMs: number;
  /** Unsent bytes of the message being written. It must change even when only a part of the message is taken. */
  readonly unsentBytes: () => number;
  /** Called if nothing of a waiting message was taken for `timeoutMs` to 1.25 times `timeoutMs`. */
  readonly onStuck: () => void;
}

/** Watches one connection. As long as it takes some bytes now and then, it is only slow, however much is waiting. */
export function createReaderWatch({
  timeoutMs,
  unsentBytes,
  onStuck,
}: ReaderWatchDeps): ReaderWatch {
  let waiting = 0;
  let unsentBefore = 0;
  let pollsWithoutMove = 0;
  let timer: NodeJS.Timeout | undefined;

  function poll(): void {
    const unsent = unsentBytes();
    pollsWithoutMove = unsent === unsentBefore ? pollsWithoutMove + 1 : 0;
    unsentBefore = unsent;
    if (pollsWithoutMove < POLLS_PER_TIMEOUT) return;
    clearInterval(timer);
    onStuck();
  }

  function taken(): void {
    waiting -= 1;
    pollsWithoutMove = 0;
    if (waiting === 0) clearInterval(timer);
  }

  return {
    sending() {
      waiting += 1;
      if (waiting === 1) timer = setInterval(poll, timeoutMs / POLLS_PER_TIMEOUT);
      let resolve: () => void = () => undefined;
      const isTaken = new Promise<void>((done) => {
        resolve = done;
      });
      return {
        isTaken,
        taken: () => {
          taken();
          resolve();
        },
      };
    },
  };
}
