/** Finds out about a reader that takes nothing, by what is sent and what of it has been taken. */

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

/**
 * One connection's. However much waits for it: as long as a part is taken now and then, it is merely slow.
 * @param onStuck called when for `timeoutMs` nothing was taken of what waits
 */
export function createReaderWatch(timeoutMs: number, onStuck: () => void): ReaderWatch {
  let waiting = 0;
  let timer: NodeJS.Timeout | undefined;

  function taken(): void {
    waiting -= 1;
    if (waiting === 0) clearTimeout(timer);
    else timer?.refresh();
  }

  return {
    sending() {
      waiting += 1;
      if (waiting === 1) timer = setTimeout(onStuck, timeoutMs);
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
