/**
 * Output with many followers. Followers that ask for the same output at the same time share one read. Those that ask a
 * little later find it in the gateway's memory (freshOutputs.ts). A stream has an entry here as long as somebody
 * follows it.
 */
import type { OutputCursor, OutputItem, OutputsRead } from '../../domain/output.ts';
import { NEVER, type TokenEnd } from '../access/tokenEnd.ts';

/**
 * How many callers continue before the event loop does other work. Sending 16 events takes 1 to 3 ms, so other work
 * waits only briefly.
 */
const PER_TURN = 16;

/**
 * Makes simultaneous callers take turns on the event loop, in the order of their calls. Otherwise 1,000 subscribers
 * that are woken by one commit would block the event loop until the last one is served.
 */
function createTurns(): () => Promise<void> {
  const waiting: (() => void)[] = [];

  function serve(): void {
    for (const go of waiting.splice(0, PER_TURN)) go();
    // Before the next callers continue, these finish their work, and the event loop handles the network.
    if (waiting.length > 0) setImmediate(serve);
  }

  return () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(serve);
    });
}

interface PullSource<T> {
  /** The next items in order, or none if there is nothing new yet. `isEnd`: nothing will follow them. */
  read(): Promise<{ readonly items: readonly T[]; readonly isEnd: boolean }>;
  /** Registers for wake-ups, until the returned function is called. A wake-up does not promise new items. */
  onWake(wake: () => void): () => void;
  /** Awaited before each item is returned, so that iterators that all have items take turns. */
  readonly turn?: () => Promise<void>;
}

/**
 * An async iterator that reads a source in pages, when its consumer asks. If there is nothing to read, it sleeps until
 * it is woken. Unlike with an `async function*`, `return()` resolves immediately, even while the iterator sleeps. It
 * buffers at most one page.
 */
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

export interface OutputSource {
  /** The stream's name. Sources with the same key give the same outputs. */
  readonly key: string;
  /** @param after null: from the first output on */
  read(after: OutputCursor | null): Promise<OutputsRead>;
  /** Registers for wake-ups, until the returned function is called. */
  onWake(wake: () => void): () => void;
}

export interface SharedOutput {
  /**
   * Live output after a cursor, pulled page by page. Ends when the stream ends.
   * @param tokenEnd asked before each item whether this gateway knows that the follower's token is still valid. It does
   * not end the stream: the transport does, when the token ends. Left out: the token never ends
   */
  follow(
    source: OutputSource,
    after: OutputCursor | null,
    tokenEnd?: TokenEnd,
  ): AsyncIterableIterator<OutputItem>;
  /** How many followers the stream has on this gateway. */
  followers(key: string): number;
  /** How many followers all streams have on this gateway. */
  readonly count: number;
}

export function createSharedOutput(): SharedOutput {
  const streams = new Map<string, SharedStream>();
  const turn = createTurns();

  function streamOf(source: OutputSource): SharedStream {
    const known = streams.get(source.key);
    if (known) return known;
    const stream = createSharedStream(source, () => streams.delete(source.key));
    streams.set(source.key, stream);
    return stream;
  }

  return {
    follow: (source, after, tokenEnd = NEVER) => {
      const stream = streamOf(source);
      let cursor = after;
      return pullIterator({
        read: async () => {
          const page = await stream.read(cursor);
          const last = page.items.at(-1);
          if (last) cursor = { executionId: last.executionId, seq: last.seq };
          return page;
        },
        onWake: stream.join,
        turn: () => tokenEnd.fresh()?.then(turn) ?? turn(),
      });
    },
    followers: (key) => streams.get(key)?.followers ?? 0,
    get count() {
      return [...streams.values()].reduce((sum, { followers }) => sum + followers, 0);
    },
  };
}

interface SharedStream {
  readonly followers: number;
  read(after: OutputCursor | null): Promise<OutputsRead>;
  join(wake: () => void): () => void;
}

/** @param onLeft called when the last follower has left */
function createSharedStream(source: OutputSource, onLeft: () => void): SharedStream {
  const wakes = new Map<symbol, () => void>();
  /** Reads since the last wake-up, by cursor: those that are under way, and those that found nothing. */
  const reads = new Map<string, Promise<OutputsRead>>();

  const off = source.onWake(() => {
    // A read that is under way may have begun before the new output was stored, so woken followers must not join it.
    reads.clear();
    // A copy, because followers may join or leave during the calls.
    for (const wake of [...wakes.values()]) wake();
  });

  function read(key: string, after: OutputCursor | null): Promise<OutputsRead> {
    const begun = source.read(after);
    const forget = () => reads.get(key) === begun && reads.delete(key);
    reads.set(key, begun);
    begun.then(({ items }) => items.length > 0 && forget(), forget);
    return begun;
  }

  return {
    get followers() {
      return wakes.size;
    },
    read: (after) => {
      const key = after === null ? '' : `${after.executionId}:${after.seq}`;
      return reads.get(key) ?? read(key, after);
    },
    join: (wake) => {
      const follower = Symbol('follower');
      wakes.set(follower, wake);
      return () => {
        if (!wakes.delete(follower) || wakes.size > 0) return;
        off();
        onLeft();
      };
    },
  };
}
