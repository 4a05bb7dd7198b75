import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { createFreshOutputs } from '../../src/events/outputs/freshOutputs.ts';
import { newId } from '../../src/process/newId.ts';
import { createSharedOutput, type OutputSource } from '../../src/service/output/sharedOutput.ts';
import { fc } from '../support/seeded.ts';

const executionId = 'e' as ExecutionId;
const at = new Date(0);
const KEPT_BYTES = 2 * 1024 * 1024;
const TOTAL_STREAMS = 16;
const ITEM_OVERHEAD_BYTES = 256;
const PAGE_BYTES = KEPT_BYTES / 2;
/** The size of an output without its text. */
const JSON_BYTES = JSON.stringify({ kind: 'stream', name: 'stdout', text: '' }).length;

/** Runs everything that waits only for promises and turns of the event loop. */
const settled = async () => {
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/**
 * Output that the test adds to. A read gives what was there when it began, and puts it into the memory of fresh
 * outputs. Only reads of the source are counted, not those of that memory.
 */
function growingOutput(pageItems = 100, fresh = createFreshOutputs(), id = executionId) {
  const bounds = { limit: pageItems, maxBytes: PAGE_BYTES };
  const items: OutputItem[] = [];
  const wakes = new Set<() => void>();
  const seen = { reads: 0, isEnded: false };
  const source: OutputSource = {
    key: 'x',
    read: async (cursor) => {
      const after = cursor ?? { executionId: id, seq: 0 };
      const known = fresh.ofExecution(after, bounds);
      if (known) return known;
      seen.reads += 1;
      const from = after.seq;
      const page = items.slice(from, from + pageItems);
      const isEnd = seen.isEnded && from + page.length >= items.length;
      await new Promise((resolve) => setImmediate(resolve));
      fresh.read(page.map((item) => ({ item, bytes: JSON.stringify(item.output).length })));
      return { items: page, isEnd };
    },
    onWake: (wake) => {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },
  };
  const wake = () => {
    for (const each of wakes) each();
  };
  return {
    source,
    wake,
    get reads() {
      return seen.reads;
    },
    get watchers() {
      return wakes.size;
    },
    add: (...texts: string[]) => {
      for (const text of texts)
        items.push({
          executionId: id,
          seq: items.length + 1,
          at,
          output: { kind: 'stream', name: 'stdout', text },
        });
    },
    end: () => {
      seen.isEnded = true;
      wake();
    },
  };
}

/** Reads to the end, and collects the seqs. */
function reading(follower: AsyncIterableIterator<OutputItem>) {
  const seqs: number[] = [];
  const done = (async () => {
    for await (const { seq } of follower) seqs.push(seq);
  })();
  return { seqs, done };
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('shared output', () => {
  it('is read once for all its followers, and never again for items that they have', async () => {
    const output = growingOutput();
    const shared = createSharedOutput();
    const readers = range(1_000).map(() => reading(shared.follow(output.source, null)));
    await settled();
    expect(shared.followers('x')).toBe(1_000);
    expect(shared.count).toBe(1_000);
    expect(output.watchers).toBe(1);
    for (let commit = 0; commit < 10; commit += 1) {
      output.add('a', 'b');
      output.wake();
      await settled();
    }
    output.end();
    await Promise.all(readers.map(({ done }) => done));
    for (const { seqs } of readers) expect(seqs).toEqual(range(20));
    // Each commit costs a read of its page, and another that finds nothing more.
    expect(output.reads).toBeLessThanOrEqual(2 * 12);
    expect(output.watchers).toBe(0);
    expect(shared.followers('x')).toBe(0);
    expect(shared.count).toBe(0);
  });

  it('loses nothing that is added during another follower’s read', async () => {
    const output = growingOutput();
    const shared = createSharedOutput();
    const first = shared.follow(output.source, null).next();
    const second = shared.follow(output.source, null);
    await Promise.resolve();
    // The first follower's read has begun and will find nothing.
    output.add('a');
    output.wake();
    expect((await second.next()).value).toMatchObject({ seq: 1 });
    expect((await first).value).toMatchObject({ seq: 1 });
  });

  it('keeps the last pages, up to a size, for followers that are a little behind', async () => {
    const output = growingOutput(1);
    const shared = createSharedOutput();
    const pages = 8;
    const behind = shared.follow(output.source, { executionId, seq: pages / 2 });
    const quick = shared.follow(output.source, null);
    output.add(
      ...range(pages).map(() =>
        'x'.repeat(KEPT_BYTES / (pages / 2) - ITEM_OVERHEAD_BYTES - JSON_BYTES),
      ),
    );
    for (const seq of range(pages)) expect((await quick.next()).value).toMatchObject({ seq });
    expect(output.reads).toBe(pages);
    for (const seq of range(pages).slice(pages / 2))
      expect((await behind.next()).value).toMatchObject({ seq });
    expect(output.reads).toBe(pages);
    const farBehind = shared.follow(output.source, null);
    await farBehind.next();
    expect(output.reads).toBe(pages + 1);
    for (const follower of [quick, behind, farBehind]) await follower.return?.();
    expect(output.watchers).toBe(0);
  });

  it('counts the real memory of tiny items', async () => {
    const output = growingOutput(1_000);
    const shared = createSharedOutput();
    const behind = shared.follow(output.source, null);
    const quick = shared.follow(output.source, null);
    output.add(...range(10_000).map(() => 'x'));
    for (const seq of range(10_000)) expect((await quick.next()).value).toMatchObject({ seq });
    expect(output.reads).toBe(10);
    await behind.next();
    expect(output.reads).toBe(11);
  });

  it('keeps the newest pages of all streams, up to a size, and only for seconds', async () => {
    let now = 0;
    const fresh = createFreshOutputs(() => now);
    const shared = createSharedOutput();
    const text = 'x'.repeat(KEPT_BYTES - ITEM_OVERHEAD_BYTES - JSON_BYTES);
    /** Reads the streams one after the other, then again in reverse order. Gives how often each source was read. */
    const readTwice = async (streams: number, pauseMs = 0) => {
      const outputs = range(streams).map(() => growingOutput(100, fresh, newId<ExecutionId>()));
      const followers = outputs.map(({ source, add }, index) => {
        add(text);
        const own = { ...source, key: String(index) };
        return [shared.follow(own, null), shared.follow(own, null)] as const;
      });
      for (const [quick] of followers) await quick.next();
      now += pauseMs;
      const newestFirst = [...followers].reverse();
      for (const [, behind] of newestFirst) await behind.next();
      for (const both of followers) for (const follower of both) await follower.return?.();
      return outputs.map(({ reads }) => reads);
    };
    const kept = range(TOTAL_STREAMS).map(() => 1);
    expect(await readTwice(TOTAL_STREAMS)).toEqual(kept);
    expect(await readTwice(TOTAL_STREAMS + 2)).toEqual([2, 2, ...kept]);
    expect(await readTwice(TOTAL_STREAMS)).toEqual(kept);
    expect(await readTwice(2, 6_000)).toEqual([2, 2]);
  });

  it('forgets a stream when its last follower leaves', async () => {
    const output = growingOutput();
    const shared = createSharedOutput();
    output.add('a');
    const follower = shared.follow(output.source, null);
    await follower.next();
    expect(output.watchers).toBe(1);
    await follower.return?.();
    expect(output.watchers).toBe(0);
    expect(shared.count).toBe(0);
  });

  it('fails for all who waited for a read that failed, and works again after that', async () => {
    const output = growingOutput();
    const shared = createSharedOutput();
    const { read } = output.source;
    const failing: OutputSource = {
      ...output.source,
      read: async () => {
        throw new Error('the database is away');
      },
    };
    const readers = range(3).map(() => shared.follow(failing, null).next());
    for (const next of readers) await expect(next).rejects.toThrow('the database is away');
    expect(shared.followers('x')).toBe(0);
    output.add('a');
    const again = await shared.follow({ ...output.source, read }, null).next();
    expect(again.value).toMatchObject({ seq: 1 });
  });

  it('ends at once for a follower that begins at the end', async () => {
    const output = growingOutput();
    output.add('a');
    output.end();
    const shared = createSharedOutput();
    expect(await shared.follow(output.source, { executionId, seq: 1 }).next()).toMatchObject({
      done: true,
    });
    expect(await shared.follow(output.source, { executionId, seq: 9 }).next()).toMatchObject({
      done: true,
    });
  });

  it('lets the event loop run while it serves many', async () => {
    const output = growingOutput();
    const shared = createSharedOutput();
    let given = 0;
    const followers = range(200).map(() => shared.follow(output.source, null));
    const waiting = followers.map((follower) => follower.next().then(() => (given += 1)));
    await settled();
    output.add('a');
    output.wake();
    let most = 0;
    for (let before = 0; before < 200; before = given) {
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, given - before);
    }
    await Promise.all(waiting);
    expect(most).toBeLessThanOrEqual(16);
  });

  it('gives each follower what comes after its cursor, whatever happens when', async () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('add' as const), count: fc.nat({ max: 4 }) }),
      fc.record({ type: fc.constant('follow' as const), behind: fc.nat({ max: 6 }) }),
      fc.record({ type: fc.constant('turn' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, pageItems) => {
          const output = growingOutput(pageItems);
          const shared = createSharedOutput();
          const readers: { after: number; seqs: number[]; done: Promise<void> }[] = [];
          let total = 0;
          const follow = (after: number) => {
            const follower = shared.follow(output.source, { executionId, seq: after });
            readers.push({ after, ...reading(follower) });
          };
          follow(0);
          for (const each of steps) {
            if (each.type === 'turn') await new Promise((resolve) => setImmediate(resolve));
            else if (each.type === 'follow') follow(Math.max(0, total - each.behind));
            else {
              output.add(...range(each.count).map(String));
              total += each.count;
              output.wake();
            }
          }
          output.end();
          await Promise.all(readers.map(({ done }) => done));
          for (const { after, seqs } of readers)
            expect(seqs).toEqual(range(total - after).map((n) => n + after));
          expect(output.watchers).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });
});
