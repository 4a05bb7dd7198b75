/**
 * An async iterator that reads a source in pages, when its consumer asks. If there is nothing to read, it sleeps until
 * it is woken. Unlike that of an `async function*`, its `return()` resolves immediately, even while it sleeps. It
 * buffers at most one page.
 */
export interface PullSource<T> {
  /** The next items in order, or none if there is nothing new yet. `isEnd`: nothing will follow them. */
  read(): Promise<{ readonly items: readonly T[]; readonly isEnd: boolean }>;
  /** Registers for wake-ups, until the returned function is called. A wake-up does not promise new items. */
  onWake(wake: () => void): () => void;
  /** Awaited before each item is returned, so that iterators that all have items take turns. */
  readonly turn?: () => Promise<void>;
}

export function pullIterator<T>(source: PullSource<T>): AsyncIterableIterator<T> {
  /** Never changed, because other iterators may share the same page. */
  let page: readonly T[] = [];
  let given = 0;
  let isEnd = false;
  let isClosed = false;
  let isWoken = true;
  let awaken: (() => void) | null = null;
  const wake = () => {
    isWoken = true;
    awaken?.();
  };
  // Registered before the first read, so that nothing is missed in between.
  const off = source.onWake(wake);

  function close(): IteratorResult<T> {
    isClosed = true;
    page = [];
    off();
    awaken?.();
    return { done: true, value: undefined };
  }

  /** The latest call of `next`. Calls may overlap: each waits for the one before, as with an `async function*`. */
  let latest: Promise<IteratorResult<T>> | null = null;

  async function fill(): Promise<void> {
    while (given === page.length && !isEnd && !isClosed) {
      if (!isWoken) {
        await new Promise<void>((resolve) => {
          awaken = resolve;
        });
        awaken = null;
        continue;
      }
      isWoken = false;
      const read = await source.read();
      page = read.items;
      given = 0;
      isEnd = read.isEnd;
      // More items may follow a page, so it reads again before it sleeps.
      if (read.items.length > 0) isWoken = true;
    }
  }

  async function take(): Promise<IteratorResult<T>> {
    try {
      await fill();
      if (given < page.length) await source.turn?.();
    } catch (error: unknown) {
      close();
      throw error;
    }
    const value = isClosed ? undefined : page[given];
    given += 1;
    return value === undefined ? close() : { done: false, value };
  }

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => {
      const result = latest ? latest.then(take, take) : take();
      latest = result;
      const forget = () => {
        if (latest === result) latest = null;
      };
      result.then(forget, forget);
      return result;
    },
    return: async () => close(),
    throw: async (error: unknown) => {
      close();
      throw error;
    },
  };
}
