/**
 * A stream that a test can observe. It makes an item for each pull, or waits if there is none; its `return()` resolves
 * at once.
 */
export interface PulledStream<T> extends AsyncIterableIterator<T> {
  readonly pulls: number;
  readonly isReturned: boolean;
  /** Resolves when `return()` is called. */
  readonly returned: Promise<void>;
  /** Makes the waiting pull fail. */
  fail(error: Error): void;
}

/** `make(n)` gives the n-th item, from 1. Null: there is none yet, so the pull waits. */
export function pulledStream<T>(make: (n: number) => T | null): PulledStream<T> {
  let pulls = 0;
  let isReturned = false;
  let waiting: { done: () => void; fail: (error: Error) => void } | null = null;
  let announce: () => void = () => undefined;
  const returned = new Promise<void>((resolve) => {
    announce = resolve;
  });

  return {
    get pulls() {
      return pulls;
    },
    get isReturned() {
      return isReturned;
    },
    returned,
    fail: (error) => waiting?.fail(error),
    next() {
      if (isReturned) return Promise.resolve({ done: true, value: undefined });
      pulls += 1;
      const item = make(pulls);
      if (item !== null) return Promise.resolve({ done: false, value: item });
      return new Promise((resolve, reject) => {
        waiting = { done: () => resolve({ done: true, value: undefined }), fail: reject };
      });
    },
    return() {
      isReturned = true;
      waiting?.done();
      announce();
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
