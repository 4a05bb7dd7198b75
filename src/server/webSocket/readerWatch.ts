/** Finds out about a reader that takes nothing, by what is sent and what of it has been taken. */

/** In the time that a reader has: what moved between two looks came at an unknown moment, so the cut is that much late at most. */
const LOOKS_PER_TIMEOUT = 4;

export interface ReaderWatch {
  /** Something is being sent. */
  sending(): Sending;
}

export interface Sending {
  /** Says that it has been taken, or never will be. */
  readonly taken: () => void;
  /** Resolves when it has. */
  readonly isTaken: Promise<void>;
}

export interface ReaderWatchDeps {
  readonly timeoutMs: number;
  /** Of what is being written: changes also while a part of one message is taken. */
  readonly unsentBytes: () => number;
  /** Called when for `timeoutMs`, or a quarter more, nothing was taken of what waits. */
  readonly onStuck: () => void;
}

/** One connection's. However much waits for it: as long as a part is taken now and then, it is merely slow. */
export function createReaderWatch({
  timeoutMs,
  unsentBytes,
  onStuck,
}: ReaderWatchDeps): ReaderWatch {
  let waiting = 0;
  let unsentBefore = 0;
  let looksWithoutMove = 0;
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    const unsent = unsentBytes();
    looksWithoutMove = unsent === unsentBefore ? looksWithoutMove + 1 : 0;
    unsentBefore = unsent;
    if (looksWithoutMove < LOOKS_PER_TIMEOUT) return;
    clearInterval(timer);
    onStuck();
  }

  function taken(): void {
    waiting -= 1;
    looksWithoutMove = 0;
    if (waiting === 0) clearInterval(timer);
  }

  return {
    sending() {
      waiting += 1;
      if (waiting === 1) timer = setInterval(look, timeoutMs / LOOKS_PER_TIMEOUT);
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
