import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ExecutionId, WorkerId } from '../../src/domain/ids.ts';
import { createCommitQueue } from '../../src/events/store/createEventStore.ts';
import { type PreparedCommit, prepareCommit } from '../../src/events/store/preparedCommit.ts';
import { newId } from '../../src/process/newId.ts';

const SMALL = 100;
/** The size of a large commit. Two of them do not fit into one group. */
const BULK = 200_000;
/** After this many large commits, a worker counts as a flood. */
const BURST = 6;
const TOOK_MS = 10;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A queue in front of a database that takes {@link TOOK_MS} for a group. */
function setUp() {
  /** The sizes of each group's commits, and when the group began. */
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
  /** Pushes a commit with this many characters of output. */
  const push = (size: number, over: Partial<Of> = {}) =>
    void queue.push(ofSize(size, { executionId: newId(), workerId: newId(), ...over }));
  /** Makes workers, each of which stores a burst. Resolves with their ids. */
  const flood = async (count: number): Promise<WorkerId[]> => {
    const workers = Array.from({ length: count }, () => newId<WorkerId>());
    for (const workerId of workers) for (let at = 0; at < BURST; at += 1) push(BULK, { workerId });
    await pass(queue.drained());
    return workers;
  };
  return { groups, push, flood, queue };
}

/** Lets the fake time pass until the promise resolves. */
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
  it('commits in one group what came at the same time', async () => {
    const { groups, push } = setUp();
    for (let count = 0; count < 3; count += 1) push(SMALL);
    await vi.advanceTimersByTimeAsync(TOOK_MS);
    expect(groups.map(({ sizes }) => sizes)).toEqual([[SMALL, SMALL, SMALL]]);
  });

  it('bounds the bytes of a group, but still lets small commits into a full group', async () => {
    const { groups, push } = setUp();
    for (const size of [BULK, BULK, SMALL]) push(size);
    await vi.advanceTimersByTimeAsync(2 * TOOK_MS);
    expect(groups[0]?.sizes).toEqual([BULK, SMALL]);
    expect(groups.map(({ at }) => at)).toEqual([0, TOOK_MS]);
  });

  it('lets no commit overtake another one of the same execution', async () => {
    const { groups, push } = setUp();
    const executionId = newId<ExecutionId>();
    push(BULK);
    push(BULK, { executionId });
    push(SMALL, { executionId });
    push(SMALL);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(groups.map(({ sizes }) => sizes)).toEqual([[BULK, SMALL], [BULK], [SMALL]]);
  });

  it('makes floods pause between their commits while another worker commits something', async () => {
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
      // This commit belongs to no flood and need not wait.
      [[BULK], 2 * TOOK_MS],
      [[BULK], 8 * TOOK_MS],
      [[BULK], 16 * TOOK_MS],
    ]);
  });

  it('lets floods commit without pauses when nobody else has committed for a while', async () => {
    const { groups, push, flood } = setUp();
    const workers = await flood(2);
    await vi.advanceTimersByTimeAsync(300);
    const before = groups.length;
    for (const workerId of [...workers, ...workers]) push(BULK, { workerId });
    await vi.advanceTimersByTimeAsync(1_000);
    const [first, ...others] = groups.slice(before).map(({ at }) => at);
    expect(others.map((at) => at - (first ?? 0))).toEqual([TOOK_MS, 2 * TOOK_MS, 3 * TOOK_MS]);
  });

  it('no longer counts a worker as a flood once it has been quiet for a while', async () => {
    const { groups, push, flood } = setUp();
    const workers = await flood(2);
    await vi.advanceTimersByTimeAsync(9_000);
    const before = groups.length;
    push(SMALL);
    for (const workerId of workers) push(BULK, { workerId });
    await vi.advanceTimersByTimeAsync(2 * TOOK_MS);
    expect(groups.slice(before)).toHaveLength(2);
  });

  it('is drained once the last paused commit is done', async () => {
    const { groups, push, flood, queue } = setUp();
    const workers = await flood(2);
    const before = groups.length;
    push(SMALL);
    for (const workerId of workers) push(BULK, { workerId });
    await pass(queue.drained());
    expect(groups.length - before).toBe(2);
  });
});
