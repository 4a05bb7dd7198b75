import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ExecutionId, WorkerId } from '../../src/domain/ids.ts';
import { createCommitQueue } from '../../src/events/store/commitQueue.ts';
import { type PreparedCommit, prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { newId } from '../../src/process/newId.ts';

const SMALL = 100;
/** Two of them are more than one group takes. */
const BULK = 200_000;
/** So many of them, and their worker is a flood. */
const BURST = 6;
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
  /** Output of this many characters. */
  const push = (size: number, over: Partial<Of> = {}) =>
    void queue.push(ofSize(size, { executionId: newId(), workerId: newId(), ...over }));
  /** Ids of workers that have just stored more than a burst, one after the other. */
  const flood = async (count: number): Promise<WorkerId[]> => {
    const workers = Array.from({ length: count }, () => newId<WorkerId>());
    for (const workerId of workers) for (let at = 0; at < BURST; at += 1) push(BULK, { workerId });
    await pass(queue.drained());
    return workers;
  };
  return { groups, push, flood, queue };
}

/** Lets time pass until then. */
async function pass(until: Promise<void>): Promise<void> {
  let isOver = false;
  const over = until.then(() => {
    isOver = true;
  });
  while (!isOver) await vi.advanceTimersByTimeAsync(TOOK_MS);
  await over;
}

interface Of {
  readonly executionId: ExecutionId;
  readonly workerId: WorkerId;
}

function ofSize(size: number, { executionId, workerId }: Of): PreparedCommit {
  const output = { kind: 'stream', name: 'stdout', text: 'x'.repeat(size) } as const;
  const at = new Date();
  const outputs = [{ executionId, seq: 1, at, output }];
  const cursor = { workerId, epoch: 1, bootId: 'b', seq: 1, progress: null };
  return prepareCommit({ streams: [], outputs, cursor }, newId);
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
    expect(groups.map(({ at }) => at)).toEqual([0, TOOK_MS]);
  });

  it('lets nothing overtake what it touches too', async () => {
    const { groups, push } = setUp();
    const executionId = newId<ExecutionId>();
    push(BULK);
    push(BULK, { executionId });
    push(SMALL, { executionId });
    push(SMALL);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(groups.map(({ sizes }) => sizes)).toEqual([[BULK, SMALL], [BULK], [SMALL]]);
  });

  it('has floods pause after each other while somebody else commits something', async () => {
    const { groups, push, flood } = setUp();
    const workers = await flood(3);
    const before = groups.length;
    push(SMALL);
    for (const workerId of workers) push(BULK, { workerId });
    await vi.advanceTimersByTimeAsync(2 * TOOK_MS);
    push(BULK);
    await vi.advanceTimersByTimeAsync(1_000);
    const from = groups[before]?.at ?? 0;
    expect(groups.slice(before).map(({ sizes, at }) => [sizes, at - from])).toEqual([
      [[SMALL, BULK], 0],
      // Not a flood's: it need not wait.
      [[BULK], 2 * TOOK_MS],
      [[BULK], 8 * TOOK_MS],
      [[BULK], 16 * TOOK_MS],
    ]);
  });

  it('has floods go one right after the other when nobody else has committed for a while', async () => {
    const { groups, push, flood } = setUp();
    const workers = await flood(2);
    await vi.advanceTimersByTimeAsync(300);
    const before = groups.length;
    for (const workerId of [...workers, ...workers]) push(BULK, { workerId });
    await vi.advanceTimersByTimeAsync(1_000);
    const [first, ...others] = groups.slice(before).map(({ at }) => at);
    expect(others.map((at) => at - (first ?? 0))).toEqual([TOOK_MS, 2 * TOOK_MS, 3 * TOOK_MS]);
  });

  it('forgives a flood that has been quiet for a while', async () => {
    const { groups, push, flood } = setUp();
    const workers = await flood(2);
    await vi.advanceTimersByTimeAsync(9_000);
    const before = groups.length;
    push(SMALL);
    for (const workerId of workers) push(BULK, { workerId });
    await vi.advanceTimersByTimeAsync(2 * TOOK_MS);
    expect(groups.slice(before)).toHaveLength(2);
  });

  it('is drained when the last that paused is committed', async () => {
    const { groups, push, flood, queue } = setUp();
    const workers = await flood(2);
    const before = groups.length;
    push(SMALL);
    for (const workerId of workers) push(BULK, { workerId });
    await pass(queue.drained());
    expect(groups.length - before).toBe(2);
  });
});
