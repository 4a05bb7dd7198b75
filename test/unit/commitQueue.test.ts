import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCommitQueue } from '../../src/events/store/commitQueue.ts';
import { type PreparedCommit, prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { type ExecutionId, newId } from '../../src/ids.ts';

const SMALL = 100;
/** Two of them are more than one group takes. */
const BULK = 200_000;
const TOOK_MS = 10;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A queue before a database that takes {@link TOOK_MS} for a group. */
function setUp() {
  /** The sizes of each group's members, and when it began. */
  const groups: { readonly sizes: readonly number[]; readonly at: number }[] = [];
  const startedAt = performance.now();
  const queue = createCommitQueue<null>(
    async (group) => {
      const sizes = group.map(({ bytes }) => (bytes > SMALL * 2 ? BULK : SMALL));
      groups.push({ sizes, at: performance.now() - startedAt });
      await new Promise((resolve) => setTimeout(resolve, TOOK_MS));
      return group.map(() => null);
    },
    () => false,
  );
  const push = (size: number, id = newId<ExecutionId>()) => void queue.push(ofSize(size, id));
  return { groups, push, queue };
}

/** Output of this many characters, of this execution. */
function ofSize(size: number, executionId: ExecutionId): PreparedCommit {
  const output = { kind: 'stream', name: 'stdout', text: 'x'.repeat(size) } as const;
  const at = new Date();
  return prepareCommit({ streams: [], outputs: [{ executionId, seq: 1, at, output }] }, newId);
}

describe('a commit queue', () => {
  it('commits what came at the same time as one group', async () => {
    const { groups, push } = setUp();
    for (let count = 0; count < 3; count += 1) push(SMALL);
    await vi.advanceTimersByTimeAsync(TOOK_MS);
    expect(groups.map(({ sizes }) => sizes)).toEqual([[SMALL, SMALL, SMALL]]);
  });

  it('bounds the bytes of a group, in which what is small has room all the same', async () => {
    const { groups, push } = setUp();
    for (const size of [BULK, BULK, SMALL]) push(size);
    await vi.advanceTimersByTimeAsync(2 * TOOK_MS);
    expect(groups[0]?.sizes).toEqual([BULK, SMALL]);
    expect(groups.map(({ at }) => at)).toEqual([0]);
  });

  it('lets nothing overtake what it touches too', async () => {
    const { groups, push } = setUp();
    const id = newId<ExecutionId>();
    push(BULK);
    push(BULK, id);
    push(SMALL, id);
    push(SMALL);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(groups.map(({ sizes }) => sizes)).toEqual([[BULK, SMALL], [BULK], [SMALL]]);
  });

  it('has large commits pause after each other while somebody commits something small', async () => {
    const { groups, push } = setUp();
    for (const size of [BULK, BULK, BULK, SMALL]) push(size);
    await vi.advanceTimersByTimeAsync(2 * TOOK_MS);
    push(SMALL);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(groups).toEqual([
      { sizes: [BULK, SMALL], at: 0 },
      { sizes: [SMALL], at: 2 * TOOK_MS },
      { sizes: [BULK], at: 8 * TOOK_MS },
      { sizes: [BULK], at: 16 * TOOK_MS },
    ]);
  });

  it('has them go one right after the other when nothing small came for a while', async () => {
    const { groups, push } = setUp();
    for (let count = 0; count < 3; count += 1) push(BULK);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(groups.map(({ at }) => at)).toEqual([0, TOOK_MS, 2 * TOOK_MS]);
  });

  it('is drained when the last that paused is committed', async () => {
    const { groups, push, queue } = setUp();
    for (const size of [SMALL, BULK, BULK]) push(size);
    const drained = queue.drained();
    await vi.advanceTimersByTimeAsync(1_000);
    await drained;
    expect(groups).toHaveLength(2);
  });
});
