/** Requests of one connection, carried out one after the other in the order in which they came. */

/** How many requests may wait, and how much memory they take. A notebook sends a cell at a time, or all of its cells. */
const MAX_WAITING = 2_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

export interface RequestQueue {
  /** False: too many wait already, and this one is dropped. */
  add(bytes: number, run: () => Promise<void>): boolean;
}

/** @param first is waited for before the first request. `run` and `first` must not reject. */
export function createRequestQueue(first: Promise<unknown>): RequestQueue {
  let waiting = 0;
  let waitingBytes = 0;
  let last: Promise<unknown> = first;
  return {
    add: (bytes, run) => {
      if (waiting >= MAX_WAITING || waitingBytes + bytes > MAX_WAITING_BYTES) return false;
      waiting += 1;
      waitingBytes += bytes;
      last = last.then(run).then(() => {
        waiting -= 1;
        waitingBytes -= bytes;
      });
      return true;
    },
  };
}
