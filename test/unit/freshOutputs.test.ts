import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { OutputCursor, OutputItem, OutputPage } from '../../src/domain/output.ts';
import { createFreshOutputs, type FreshOutputs } from '../../src/events/outputs/freshOutputs.ts';
import { prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { newId } from '../../src/process/newId.ts';
import { fc } from '../support/seeded.ts';

const PAGE = { limit: 500, maxBytes: 1024 * 1024 };
const ENOUGH = 1_000_000;
const EXECUTION_BYTES = 2 * 1024 * 1024;
const TOTAL_EXECUTIONS = 16;
const ITEM_OVERHEAD_BYTES = 256;
const at = new Date(0);

const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
/** An execution's prints, with these seqs. */
const prints = (executionId: ExecutionId, seqs: readonly number[], text = 'a'): OutputItem[] =>
  seqs.map((seq) => ({ executionId, seq, at, output: { kind: 'stream', name: 'stdout', text } }));
const finish = (executionId: ExecutionId, seq: number): OutputItem => {
  return { executionId, seq, at, output: { kind: 'finish' } };
};
/** The outputs of a run with this many prints, its finish included. */
const wholeOf = (id: ExecutionId, count: number, text = 'a') => [
  ...prints(id, range(count), text),
  finish(id, count + 1),
];
const commitOf = (outputs: readonly OutputItem[]) => prepareCommit({ streams: [], outputs }, newId);
const sized = (items: readonly OutputItem[]) =>
  items.map((item) => ({ item, bytes: JSON.stringify(item.output).length }));
const allOf = (executionId: ExecutionId): OutputPage => ({ executionId, after: 0, limit: null });
const cursor = (executionId: ExecutionId, seq = 0): OutputCursor => ({ executionId, seq });

describe('the fresh outputs of an execution', () => {
  it('are those that were stored, whether anybody asked before or not', () => {
    const fresh = createFreshOutputs();
    const id = newId<ExecutionId>();
    expect(fresh.ofExecution(cursor(id), PAGE)).toBeNull();
    fresh.stored(commitOf(prints(id, [1])));
    fresh.stored(commitOf(prints(id, [2, 3])));
    const items = prints(id, [1, 2, 3]);
    expect(fresh.ofExecution(cursor(id), PAGE)).toEqual({ items, isEnd: false });
    expect(fresh.ofExecution(cursor(id, 1), PAGE)?.items).toEqual(items.slice(1));
    fresh.stored(commitOf([...prints(id, [4]), finish(id, 5)]));
    const rest = [...prints(id, [3, 4]), finish(id, 5)];
    expect(fresh.ofExecution(cursor(id, 2), PAGE)).toEqual({ items: rest, isEnd: true });
  });

  it('are those that were read, and those that were stored after them', () => {
    const fresh = createFreshOutputs();
    const id = newId<ExecutionId>();
    fresh.stored(commitOf(prints(id, [5, 6])));
    expect(fresh.ofExecution(cursor(id, 2), PAGE)).toBeNull();
    fresh.read(sized(prints(id, [3, 4, 5])));
    expect(fresh.ofExecution(cursor(id, 2), PAGE)?.items).toEqual(prints(id, [3, 4, 5, 6]));
    expect(fresh.ofExecution(cursor(id, 1), PAGE)).toBeNull();
  });

  it('are said to be none only once after each commit; the next time, the database must be read', () => {
    const fresh = createFreshOutputs();
    const id = newId<ExecutionId>();
    fresh.stored(commitOf(prints(id, [1])));
    expect(fresh.ofExecution(cursor(id, 1), PAGE)).toEqual({ items: [], isEnd: false });
    expect(fresh.ofExecution(cursor(id, 1), PAGE)).toBeNull();
    // A read proves nothing about later outputs.
    fresh.read(sized(prints(id, [2])));
    expect(fresh.ofExecution(cursor(id, 2), PAGE)).toBeNull();
    fresh.stored(commitOf([finish(id, 3)]));
    for (const _ of range(2))
      expect(fresh.ofExecution(cursor(id, 3), PAGE)).toEqual({ items: [], isEnd: true });
    expect(fresh.ofExecution(cursor(id, 4), PAGE)).toBeNull();
  });

  it('never have a hole: what another gateway stored in between must be read', () => {
    const fresh = createFreshOutputs();
    const id = newId<ExecutionId>();
    fresh.stored(commitOf(prints(id, [1, 2])));
    fresh.stored(commitOf(prints(id, [5])));
    expect(fresh.ofExecution(cursor(id), PAGE)?.items).toEqual(prints(id, [1, 2]));
    expect(fresh.ofExecution(cursor(id, 2), PAGE)).toBeNull();
    expect(fresh.ofExecution(cursor(id, 4), PAGE)?.items).toEqual(prints(id, [5]));
  });

  it('are given in pages, each of at least one item', () => {
    const fresh = createFreshOutputs();
    const id = newId<ExecutionId>();
    fresh.stored(commitOf(prints(id, [1, 2])));
    fresh.stored(commitOf(prints(id, [3])));
    const seqs = (limit: number, maxBytes: number) =>
      fresh.ofExecution(cursor(id), { limit, maxBytes })?.items.map(({ seq }) => seq);
    const bytes = sized(prints(id, [1]))[0]?.bytes ?? 0;
    expect(seqs(2, ENOUGH)).toEqual([1, 2]);
    expect(seqs(PAGE.limit, 1)).toEqual([1]);
    expect(seqs(PAGE.limit, bytes)).toEqual([1]);
    expect(seqs(PAGE.limit, bytes + 1)).toEqual([1, 2]);
  });
});

describe('the fresh outputs of a user', () => {
  it('never end: after a finish, the next execution must be read', () => {
    const fresh = createFreshOutputs();
    const [first, second] = [newId<ExecutionId>(), newId<ExecutionId>()];
    fresh.stored(commitOf(wholeOf(first, 2)));
    expect(fresh.ofUser(cursor(first), PAGE)).toEqual({ items: wholeOf(first, 2), isEnd: false });
    expect(fresh.ofUser(cursor(first, 3), PAGE)).toBeNull();
    fresh.read(sized(prints(second, [1])));
    fresh.stored(commitOf(prints(second, [2])));
    expect(fresh.ofUser(cursor(first, 3), PAGE)).toBeNull();
    expect(fresh.ofUser(cursor(second, 1), PAGE)?.items).toEqual(prints(second, [2]));
    expect(fresh.ofUser(cursor(second, 2), PAGE)).toEqual({ items: [], isEnd: false });
    expect(fresh.ofUser(cursor(second, 2), PAGE)).toBeNull();
    expect(fresh.ofExecution(cursor(first, 3), PAGE)).toEqual({ items: [], isEnd: true });
  });

  it('are split by execution when one read had several', () => {
    const fresh = createFreshOutputs();
    const [first, second] = [newId<ExecutionId>(), newId<ExecutionId>()];
    fresh.read(sized([...wholeOf(first, 1), ...prints(second, [1])]));
    expect(fresh.ofUser(cursor(first), PAGE)?.items).toEqual(wholeOf(first, 1));
    expect(fresh.ofUser(cursor(second), PAGE)?.items).toEqual(prints(second, [1]));
  });
});

describe('pages of executions', () => {
  it('hold outputs of one commit or several, for each of the executions', () => {
    const fresh = createFreshOutputs();
    const [one, other] = [newId<ExecutionId>(), newId<ExecutionId>()];
    const [ofOne, ofOther] = [wholeOf(one, 3), wholeOf(other, 0)];
    fresh.stored(commitOf([...ofOne.slice(0, 2), ...ofOther]));
    fresh.stored(commitOf(ofOne.slice(2)));
    expect(fresh.pages([allOf(other), allOf(one)], ENOUGH)).toEqual([ofOther, ofOne]);
    const page = { executionId: one, after: 1, limit: 2 };
    expect(fresh.pages([page], ENOUGH)).toEqual([ofOne.slice(1, 3)]);
    expect(fresh.pages([{ ...page, after: 4 }], ENOUGH)).toEqual([[]]);
  });

  it('are not given if one of the executions is not known completely', () => {
    const fresh = createFreshOutputs();
    const [whole, part, open] = [newId<ExecutionId>(), newId<ExecutionId>(), newId<ExecutionId>()];
    fresh.stored(commitOf(wholeOf(whole, 1)));
    fresh.stored(commitOf(wholeOf(part, 2).slice(1)));
    fresh.stored(commitOf(prints(open, [1])));
    for (const id of [part, open]) {
      expect(fresh.pages([allOf(id)], ENOUGH)).toBeNull();
      expect(fresh.pages([allOf(whole), allOf(id)], ENOUGH)).toBeNull();
    }
    // Followers can still get the answer "nothing yet": asking for pages has not used it up.
    expect(fresh.ofExecution(cursor(open, 1), PAGE)).toEqual({ items: [], isEnd: false });
  });

  it('are not given if together they exceed the bytes that were asked for', () => {
    const fresh = createFreshOutputs();
    const ids = [newId<ExecutionId>(), newId<ExecutionId>()];
    for (const id of ids) fresh.stored(commitOf(wholeOf(id, 1, 'a'.repeat(1_000))));
    const bytes = sized(ids.flatMap((id) => wholeOf(id, 1, 'a'.repeat(1_000)))).reduce(
      (sum, item) => sum + item.bytes,
      0,
    );
    expect(fresh.pages(ids.slice(1).map(allOf), bytes / 2)).toHaveLength(1);
    expect(fresh.pages(ids.map(allOf), bytes)).toHaveLength(2);
    expect(fresh.pages(ids.map(allOf), bytes - 1)).toBeNull();
  });
});

it('a fresh output cannot be changed by those who get it', () => {
  const fresh = createFreshOutputs();
  const id = newId<ExecutionId>();
  const data = { 'application/json': { deep: [{ n: 1 }] } };
  const facts = { metadata: {}, displayId: null, executionCount: 1 };
  const output = { kind: 'result', data, ...facts } as const;
  fresh.stored(commitOf([{ executionId: id, seq: 1, at, output }, finish(id, 2)]));
  const given = fresh.pages([allOf(id)], ENOUGH)?.[0]?.[0]?.output as typeof output;
  expect(() => given.data['application/json'].deep.push({ n: 2 })).toThrow(TypeError);
  expect(() => Object.assign(given, { kind: 'display' })).toThrow(TypeError);
  expect(() => Object.assign(given.data['application/json'].deep[0] ?? {}, { n: 2 })).toThrow();
});

describe('the memory of fresh outputs', () => {
  const half = 'x'.repeat(EXECUTION_BYTES / 2 - ITEM_OVERHEAD_BYTES - 50);
  const keepers: [string, (fresh: FreshOutputs, item: OutputItem) => void][] = [
    ['stored', (fresh, item) => fresh.stored(commitOf([item]))],
    ['read', (fresh, item) => fresh.read(sized([item]))],
  ];

  it.each(keepers)(
    'has the newest outputs of an execution that were %s, up to a size',
    (_how, keep) => {
      const fresh = createFreshOutputs();
      const id = newId<ExecutionId>();
      for (const item of prints(id, range(4), half)) keep(fresh, item);
      expect(fresh.ofExecution(cursor(id, 1), PAGE)).toBeNull();
      const bounds = { ...PAGE, maxBytes: EXECUTION_BYTES };
      expect(fresh.ofExecution(cursor(id, 2), bounds)?.items.map(({ seq }) => seq)).toEqual([3, 4]);
    },
  );

  it.each(keepers)(
    'has the newest outputs of all executions that were %s, up to a size',
    (_how, keep) => {
      const fresh = createFreshOutputs();
      const ids = range(TOTAL_EXECUTIONS + 2).map(() => newId<ExecutionId>());
      for (const id of ids) for (const item of prints(id, [1, 2], half)) keep(fresh, item);
      const known = ids.filter((id) => fresh.ofExecution(cursor(id), PAGE) !== null);
      expect(known).toEqual(ids.slice(2));
    },
  );

  it('keeps the newest output even if it alone exceeds the bound, because many followers may read it', () => {
    const fresh = createFreshOutputs();
    const id = newId<ExecutionId>();
    fresh.stored(commitOf(prints(id, [1], 'x'.repeat(EXECUTION_BYTES))));
    expect(fresh.ofExecution(cursor(id), PAGE)?.items).toHaveLength(1);
    fresh.stored(commitOf(prints(id, [2])));
    expect(fresh.ofExecution(cursor(id), PAGE)).toBeNull();
  });

  it('counts the real memory of tiny items', () => {
    const fresh = createFreshOutputs(() => 0);
    const id = newId<ExecutionId>();
    for (const seq of range(10_000)) fresh.stored(commitOf(prints(id, [seq])));
    const one = { ...PAGE, limit: 1 };
    const known = range(100).map((step) => step * 100);
    const kept = known.filter((seq) => fresh.ofExecution(cursor(id, seq - 1), one));
    const most = EXECUTION_BYTES / ITEM_OVERHEAD_BYTES / 100;
    expect(kept.length).toBeLessThan(most);
    expect(kept.length).toBeGreaterThan(most / 2);
    expect(kept).toEqual(known.slice(-kept.length));
  });

  it.each(keepers)(
    'drops outputs that were %s some seconds ago, however often they were given',
    (_, keep) => {
      let now = 0;
      const fresh = createFreshOutputs(() => now);
      const [old, young] = [newId<ExecutionId>(), newId<ExecutionId>()];
      for (const item of wholeOf(old, 1)) keep(fresh, item);
      now = 4_000;
      for (const item of wholeOf(young, 1)) keep(fresh, item);
      expect(fresh.ofExecution(cursor(old), PAGE)?.items).toHaveLength(2);
      now = 6_000;
      expect(fresh.ofExecution(cursor(old), PAGE)).toBeNull();
      expect(fresh.pages([allOf(old)], ENOUGH)).toBeNull();
      expect(fresh.pages([allOf(young)], ENOUGH)).toHaveLength(1);
    },
  );
});

it('fresh outputs equal what a read would give, whatever was stored and read here or stored elsewhere', () => {
  const step = fc.oneof(
    fc.record({ type: fc.constantFrom('store' as const, 'other' as const), count: fc.nat(4) }),
    fc.record({ type: fc.constant('read' as const), after: fc.nat(30), limit: fc.nat(5) }),
    fc.record({ type: fc.constant('ask' as const), after: fc.nat(30), limit: fc.nat(5) }),
    fc.record({ type: fc.constant('wait' as const), ms: fc.nat(4_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 0;
      const fresh = createFreshOutputs(() => now);
      const id = newId<ExecutionId>();
      const table: OutputItem[] = [];
      const saidNothing = new Map<number, number>();
      for (const each of steps) {
        if (each.type === 'wait') now += each.ms;
        else if (each.type === 'read')
          fresh.read(sized(table.slice(each.after).slice(0, each.limit)));
        else if (each.type === 'ask') {
          const given = fresh.ofExecution(cursor(id, each.after), { ...PAGE, limit: each.limit });
          if (given === null) continue;
          const all = table.slice(each.after);
          expect(given.items).toEqual(all.slice(0, given.items.length));
          if (given.items.length > 0 || all.length === 0 || each.limit === 0) continue;
          // Outputs of another gateway may be missed, but only once after each of this gateway's commits.
          saidNothing.set(each.after, (saidNothing.get(each.after) ?? 0) + 1);
          expect(saidNothing.get(each.after)).toBe(1);
        } else {
          const added = prints(id, range(each.count)).map((item) => {
            return { ...item, seq: table.length + item.seq };
          });
          table.push(...added);
          if (each.type === 'store') fresh.stored(commitOf(added));
        }
      }
    }),
    { numRuns: 300 },
  );
});
