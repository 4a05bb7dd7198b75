/**
 * An async iterator that reads a source in pages when its consumer asks, and sleeps until woken when there is nothing. Unlike
 * an `async function*` its `return()` resolves at once while it sleeps, and it buffers no more than one page.
 */
export interface PullSource<T> {
  /** The next items in order (none: nothing new yet). `isEnd`: nothing will follow them. */
  read(): Promise<{ readonly items: readonly T[]; readonly isEnd: boolean }>;
  /** Registers for wake-ups; the returned function ends that. A wake-up may be for nothing. */
  onWake(wake: () => void): () => void;
  /** Awaited before each item is given: where many iterators have something at the same time, they take turns. */
  readonly turn?: () => Promise<void>;
}

export function pullIterator<T>(source: PullSource<T>): AsyncIterableIterator<T> {
  /** Others may read the same page: it is never changed. */
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
  // Registered before the first read: what comes in between wakes.
  const off = source.onWake(wake);

  function close(): IteratorResult<T> {
    isClosed = true;
    page = [];
    off();
    awaken?.();
    return { done: true, value: undefined };
  }

  /** Several may be asked for at once: each waits for the one before, as with an `async function*`. */
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
      // A full page may have more behind it.
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
