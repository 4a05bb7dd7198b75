/** Carries out the requests of one connection: one after the other, in the order of arrival, or concurrently. */

/** How many requests may wait, and how much memory they may take. A notebook sends one cell at a time, or all cells. */
const MAX_WAITING = 2_000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** How many requests may run beside the others. A client sends an interrupt or an input, and waits for its effect. */
const MAX_BESIDE = 64;

export interface RequestQueue {
  /** Returns false if too many requests wait already. Then this request is dropped. */
  add(bytes: number, run: () => Promise<void>): boolean;
  /** The same for a request that must not wait for the others. It runs beside them. */
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
