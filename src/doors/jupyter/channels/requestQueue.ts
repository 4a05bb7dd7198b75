/** Requests of one connection, carried out one after the other in the order in which they came, or beside each other. */

/** How many requests may wait, and how much memory they take. A notebook sends a cell at a time, or all of its cells. */
const MAX_WAITING = 2_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** How many may be carried out beside the others. A client sends an interrupt or an input, and waits for what it does. */
const MAX_BESIDE = 64;

export interface RequestQueue {
  /** False: too many wait already, and this one is dropped. */
  add(bytes: number, run: () => Promise<void>): boolean;
  /** The same for a request that must not wait for others: it is carried out beside them. */
  addBeside(bytes: number, run: () => Promise<void>): boolean;
}

/** @param first is waited for before the first request. `run` and `first` must not reject. */
export function createRequestQueue(first: Promise<unknown>): RequestQueue {
  let waiting = 0;
  let beside = 0;
  let bytesOfAll = 0;
  let last: Promise<unknown> = first;
  return {
    add: (bytes, run) => {
      if (waiting >= MAX_WAITING || bytesOfAll + bytes > MAX_WAITING_BYTES) return false;
      waiting += 1;
      bytesOfAll += bytes;
      last = last.then(run).then(() => {
        waiting -= 1;
        bytesOfAll -= bytes;
      });
      return true;
    },
    addBeside: (bytes, run) => {
      if (beside >= MAX_BESIDE || bytesOfAll + bytes > MAX_WAITING_BYTES) return false;
      beside += 1;
      bytesOfAll += bytes;
      void first.then(run).then(() => {
        beside -= 1;
        bytesOfAll -= bytes;
      });
      return true;
    },
  };
}
