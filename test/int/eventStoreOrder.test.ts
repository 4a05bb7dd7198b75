import { describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const WRITERS = 8;
const COMMITS_EACH = 40;

const db = await useDatabase();
const gateways = [await db.open(), await db.open()] as const;

describe('positions', () => {
  it('are given in commit order: a reader that has seen one never sees a smaller one later', async () => {
    let isDone = false;
    const seen: RecordedEvent[] = [];
    const reading = (async () => {
      for (;;) {
        const wasDone = isDone;
        const events = await db.readAfter(seen.at(-1)?.position ?? 0, 50);
        seen.push(...events);
        if (events.length === 0 && wasDone) return;
      }
    })();
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      const own = gateways[writer % 2] ?? gateways[0];
      for (let count = 0; count < COMMITS_EACH; count += 1) {
        // Every second commit is refused after it has taken part in a group.
        const streams = [workerRequested(), executionRequested()];
        const user = { userUuid: `writer-${writer}` };
        const refused = own.store.commit({ streams: [sessionOpened(user), sessionOpened(user)] });
        const [done] = await Promise.allSettled([own.store.commit({ streams }), refused]);
        expect(done.status).toBe('fulfilled');
      }
    });
    await Promise.all(writers);
    isDone = true;
    await reading;
    expect(seen).toHaveLength(WRITERS * COMMITS_EACH * 2);
    // There are no holes either.
    expect(seen.map(({ position }) => position)).toEqual(seen.map((_, index) => index + 1));
    expect(seen).toEqual(await db.readAfter(0, seen.length));
    const times = seen.map(({ recordedAt }) => recordedAt.getTime());
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('order executions as they were accepted, on any gateway', async () => {
    const workerId = (await commitOne<'worker'>(gateways[0].store, workerRequested())).id;
    const accepted: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      const { store } = gateways[count % 2] ?? gateways[0];
      accepted.push((await commitOne(store, executionRequested({ workerId }))).id);
    }
    const unfinished = await gateways[1].queries.unfinishedExecutions(workerId);
    expect(unfinished.map(({ execution }) => execution.id)).toEqual(accepted);
  });
});

describe('two gateways that append to the same stream', () => {
  it('never both succeed: one is first, and the other gets a ConcurrencyError', async () => {
    const [one, two] = gateways;
    for (let count = 0; count < 20; count += 1) {
      const append = workerRequested();
      const results = await Promise.allSettled(
        [one, two].map(({ store }) => store.commit({ streams: [append] })),
      );
      const statuses = results.map(({ status }) => status).sort();
      expect(statuses).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
        reason: { name: 'ConcurrencyError', on: 'stream' },
      });
    }
  });
});

describe('a page of events', () => {
  it('is bounded in bytes, too, and the next page continues', async () => {
    const { store } = gateways[0];
    const before = await store.lastPosition();
    // The database compresses this text to almost nothing; in memory it has its full size.
    const code = '#'.repeat(2_000_000);
    for (let count = 0; count < 9; count += 1) {
      await store.commit({ streams: [executionRequested({ code }), workerRequested()] });
    }
    const positions: number[] = [];
    const sizes: number[] = [];
    for (;;) {
      const page = await db.readAfter(positions.at(-1) ?? before);
      if (page.length === 0) break;
      positions.push(...page.map(({ position }) => position));
      sizes.push(Buffer.byteLength(JSON.stringify(page)));
    }
    expect(positions).toEqual(Array.from({ length: 18 }, (_, index) => before + index + 1));
    // A full page includes the event that filled it.
    expect(Math.max(...sizes)).toBeLessThan(7_000_000);
  });
});

describe('causes', () => {
  it('lead from every event of a commit to its first event, if the commit asks for that', async () => {
    const { store } = gateways[0];
    const streams = [workerRequested(), executionRequested(), executionRequested()];
    const { events } = await store.commit({ streams, causationId: 'first-event' });
    const first = events[0]?.metadata.eventId;
    expect(events.map(({ metadata }) => metadata.causationId)).toEqual([null, first, first]);
    expect(await db.readAfter((events[0]?.position ?? 0) - 1)).toEqual(events);
    const caused = await store.commit({
      streams: [workerRequested()],
      ...(first ? { causationId: first } : {}),
    });
    expect(caused.events[0]?.metadata.causationId).toBe(first);
  });
});

describe('correlation', () => {
  it('connects all events of an execution, on every stream', async () => {
    const { store } = gateways[0];
    const opening = await store.commit({
      streams: [workerRequested(), sessionOpened({ userUuid: 'tied' }), executionRequested()],
    });
    const execution = opening.states[2] as Execution;
    const { events } = await store.commit({
      streams: [onExecution(execution, executionFinished())],
    });
    for (const { metadata } of [...opening.events, ...events])
      expect(metadata.correlationId).toBe(execution.id);
    expect(await db.readAfter((events[0]?.position ?? 0) - 1, 1)).toEqual(events);
  });

  it('connects an event with all events that follow from it, except for those of executions, which have their own id', async () => {
    const executions = [executionRequested(), executionRequested()];
    const { events } = await gateways[0].store.commit({
      streams: [workerRequested(), sessionOpened({ userUuid: 'chained' }), ...executions],
      causationId: 'first-event',
    });
    const first = events[0]?.metadata.eventId;
    expect(events.map(({ metadata }) => metadata.correlationId)).toEqual([
      first,
      first,
      ...executions.map(({ id }) => id),
    ]);
  });
});

describe('outputs', () => {
  const texts = {
    'U+0000': 'before\u0000after',
    'lone surrogates': '\ud800 \udc00 \udc00\ud800 x\udfff',
    'what looks like our own escapes': '{"$escaped":"\\u0000"} \\u0000 \\ud800',
    'astral characters and line ends': '😀漢字\r\n\u2028\u2029\u0085',
    'a line of 10 MB': 'x'.repeat(10 * 1024 * 1024),
  };

  it.each(Object.entries(texts))('keep %s', async (_, text) => {
    const { store, queries } = gateways[0];
    const execution = await commitOne<'execution'>(store, executionRequested({ code: text }));
    const at = new Date();
    const data = { 'text/plain': text, [`odd-${text.slice(0, 50)}`]: [text.slice(0, 50)] };
    const rich = { metadata: {}, displayId: null, executionCount: 1 };
    const items = [
      { kind: 'stream', name: 'stdout', text } as const,
      { kind: 'result', data, ...rich } as const,
      { kind: 'finish' } as const,
    ].map((output, index) => ({ executionId: execution.id, seq: index + 1, at, output }));
    await store.commit({ streams: [], outputs: items });
    const bounds = { limit: 10, maxBytes: 100 * 1024 * 1024 };
    const start = { executionId: execution.id, seq: 0 };
    // One gateway has the outputs in memory; the other reads them.
    for (const { queries: asked } of gateways)
      expect(await asked.outputs(start, bounds)).toEqual({ items, isEnd: true });
    expect(await queries.codes([execution.id], 1e9)).toEqual(new Map([[execution.id, text]]));
  });

  it('are read in pages bounded by number and by bytes', async () => {
    const { store } = gateways[0];
    const { id } = await commitOne<'execution'>(store, executionRequested());
    const item = (seq: number, length: number) => ({
      executionId: id as ExecutionId,
      seq,
      at: new Date(),
      output: { kind: 'stream', name: 'stderr', text: 'x'.repeat(length) } as const,
    });
    const items = [item(1, 5_000), item(2, 10), item(3, 10), item(4, 10)];
    await store.commit({ streams: [], outputs: items });
    const page = async (seq: number, limit: number, maxBytes: number) =>
      (await db.queries.outputs({ executionId: id, seq }, { limit, maxBytes })).items.map(
        (item) => item.seq,
      );
    expect(await page(0, 2, 100_000)).toEqual([1, 2]);
    expect(await page(0, 10, 100)).toEqual([1]);
    expect(await page(1, 10, 100_000)).toEqual([2, 3, 4]);
    expect(await page(4, 10, 100_000)).toEqual([]);
  });
});
