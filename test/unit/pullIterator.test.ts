import { describe, expect, it } from 'vitest';
import { pullIterator } from '../../src/service/output/sharedOutput.ts';
import { fc } from '../support/seeded.ts';

/** A growing log that is read in pages. The test wakes its readers. */
function growingLog(pageSize = 2, turn?: () => Promise<void>) {
  const items: number[] = [];
  let read = 0;
  let isOver = false;
  let wake: (() => void) | null = null;
  const log = {
    reads: 0,
    failure: null as Error | null,
    get isWatched() {
      return wake !== null;
    },
    add: (...more: number[]) => void items.push(...more),
    end: () => {
      isOver = true;
    },
    wake: () => wake?.(),
    iterator: () =>
      pullIterator<number>({
        read: async () => {
          log.reads += 1;
          if (log.failure) throw log.failure;
          const page = items.slice(read, read + pageSize);
          read += page.length;
          return { items: page, isEnd: isOver && read === items.length };
        },
        onWake: (listener) => {
          wake = listener;
          return () => {
            wake = null;
          };
        },
        ...(turn && { turn }),
      }),
  };
  return log;
}

const done = { done: true, value: undefined };
const item = (value: number) => ({ done: false, value });
/** Runs everything that waits only for promises. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('pullIterator', () => {
  it('gives the items page by page, and ends', async () => {
    const log = growingLog();
    log.add(1, 2, 3, 4, 5);
    log.end();
    const seen: number[] = [];
    for await (const value of log.iterator()) seen.push(value);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(log.isWatched).toBe(false);
  });

  it('reads a page only when an item is asked for', async () => {
    const log = growingLog();
    log.add(1, 2, 3);
    const iterator = log.iterator();
    await settled();
    expect(log.reads).toBe(0);
    await iterator.next();
    await iterator.next();
    expect(log.reads).toBe(1);
  });

  it('sleeps when there are no items, and continues when woken', async () => {
    const log = growingLog();
    const iterator = log.iterator();
    const next = iterator.next();
    await settled();
    expect(log.reads).toBe(1);
    log.wake();
    await settled();
    expect(log.reads).toBe(2);
    log.add(7);
    log.wake();
    expect(await next).toEqual(item(7));
  });

  it('loses no wake-up during a read', async () => {
    const log = growingLog();
    const iterator = log.iterator();
    const next = iterator.next();
    // The read has its (empty) page, but has not resolved yet.
    log.add(1);
    log.wake();
    expect(await next).toEqual(item(1));
  });

  it('ends at once on return(), even while it sleeps', async () => {
    const log = growingLog();
    const iterator = log.iterator();
    const next = iterator.next();
    await settled();
    expect(await iterator.return?.()).toEqual(done);
    expect(await next).toEqual(done);
    expect(log.isWatched).toBe(false);
    expect(await iterator.next()).toEqual(done);
  });

  it('gives no more items of its page after return()', async () => {
    const log = growingLog();
    log.add(1, 2);
    const iterator = log.iterator();
    expect(await iterator.next()).toEqual(item(1));
    await iterator.return?.();
    expect(await iterator.next()).toEqual(done);
  });

  it.each([1, 2, 3])(
    'gives concurrent calls different items, with pages of %i',
    async (pageSize) => {
      const log = growingLog(pageSize, settled);
      const iterator = log.iterator();
      log.add(1, 2);
      const asked = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
      await settled();
      log.add(3, 4);
      log.wake();
      expect(await Promise.all(asked)).toEqual([1, 2, 3, 4].map(item));
      const [last, beyond] = [iterator.next(), iterator.next()];
      log.add(5);
      log.end();
      log.wake();
      expect(await last).toEqual(item(5));
      expect(await beyond).toEqual(done);
    },
  );

  it('rejects with the error that its consumer throws into it, and is over', async () => {
    const log = growingLog();
    const iterator = log.iterator();
    await expect(iterator.throw?.(new Error('enough'))).rejects.toThrow('enough');
    expect(log.isWatched).toBe(false);
  });

  it('fails once with the error of the read, and is over', async () => {
    const log = growingLog();
    log.failure = new Error('the database is away');
    const iterator = log.iterator();
    await expect(iterator.next()).rejects.toThrow('the database is away');
    expect(log.isWatched).toBe(false);
    expect(await iterator.next()).toEqual(done);
  });

  it('gives each item once and in order, whenever items are added', async () => {
    const burst = fc.record({ count: fc.nat({ max: 5 }), isWaited: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(burst),
        fc.integer({ min: 1, max: 4 }),
        async (bursts, pageSize) => {
          const log = growingLog(pageSize);
          const seen: number[] = [];
          const reading = (async () => {
            for await (const value of log.iterator()) seen.push(value);
          })();
          let last = 0;
          for (const { count, isWaited } of bursts) {
            for (let n = 0; n < count; n += 1) {
              last += 1;
              log.add(last);
            }
            log.wake();
            if (isWaited) await settled();
          }
          log.end();
          log.wake();
          await reading;
          expect(seen).toEqual(Array.from({ length: last }, (_, index) => index + 1));
        },
      ),
      { numRuns: 50 },
    );
  });
});
