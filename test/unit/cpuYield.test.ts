import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { ExecutionId, WorkerId } from '../../src/domain/ids.ts';
import { createCpuYield } from '../../src/pool/cpuYield.ts';
import { newId } from '../../src/process/newId.ts';
import type { CpuShare } from '../../src/runtime/runtime.ts';
import type { HeldWorker } from '../../src/worker/heldWorker.ts';

const LONG_MS = 600;
const SHORT_MS = 400;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One worker, and the CPU shares that its container gets. */
function setUp(...running: ExecutionId[]) {
  const shares: CpuShare[] = [];
  const commands = new Set<ExecutionId>();
  const engine = { isAway: false };
  const host: Partial<HeldWorker> = {
    workerId: newId<WorkerId>(),
    runningCells: running,
    hasCell: (id) => !commands.has(id),
  };
  const held = { host: host as HeldWorker | undefined };
  const cpuYield = createCpuYield({
    heldWorkers: { get: () => held.host, all: () => (held.host ? [held.host] : []) },
    logger: pino({ level: 'silent' }),
    setCpuShare: async (_id, share) => {
      if (engine.isAway) throw new Error('The engine is away.');
      shares.push(share);
    },
  });
  const tell = (type: 'ExecutionStarted' | 'ExecutionFinished', id: ExecutionId) =>
    cpuYield.apply({ event: { type }, streamId: id } as unknown as RecordedEvent);
  const run = async (ms: number, id = newId<ExecutionId>()) => {
    tell('ExecutionStarted', id);
    await vi.advanceTimersByTimeAsync(ms);
    tell('ExecutionFinished', id);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { cpuYield, shares, commands, engine, held, tell, run };
}

describe('the CPU share of a worker', () => {
  it('does not change during a short run', async () => {
    const { shares, run } = setUp();
    await run(SHORT_MS);
    await vi.advanceTimersByTimeAsync(LONG_MS);
    expect(shares).toEqual([]);
  });

  it('yields during a long run', async () => {
    const { shares, run } = setUp();
    await run(LONG_MS);
    expect(shares).toEqual(['yielding', 'full']);
  });

  it('does not change during a command', async () => {
    const { shares, commands, run } = setUp();
    const id = newId<ExecutionId>();
    commands.add(id);
    await run(LONG_MS, id);
    expect(shares).toEqual([]);
  });

  it('is full again when a run ends that another gateway began, be it long or short', async () => {
    for (const [ms, seen] of [
      [SHORT_MS, ['full']],
      [LONG_MS, ['yielding', 'full']],
    ] as const) {
      const id = newId<ExecutionId>();
      const { cpuYield, shares, tell, held } = setUp(id);
      cpuYield.reached(held.host?.workerId ?? newId());
      await vi.advanceTimersByTimeAsync(ms);
      tell('ExecutionFinished', id);
      await vi.advanceTimersByTimeAsync(0);
      expect(shares).toEqual(seen);
    }
  });

  it('is full again when the last of several long runs ends', async () => {
    const [taken, other, third] = [
      newId<ExecutionId>(),
      newId<ExecutionId>(),
      newId<ExecutionId>(),
    ];
    const { cpuYield, shares, tell, held, run } = setUp(taken, other);
    cpuYield.reached(held.host?.workerId ?? newId());
    tell('ExecutionFinished', taken);
    await run(LONG_MS, third);
    expect(new Set(shares)).toEqual(new Set(['yielding']));
    tell('ExecutionFinished', other);
    await vi.advanceTimersByTimeAsync(0);
    expect(shares.at(-1)).toBe('full');
  });

  it('does not change when the worker is taken over while nothing runs', async () => {
    const { cpuYield, shares, held } = setUp();
    cpuYield.reached(held.host?.workerId ?? newId());
    await vi.advanceTimersByTimeAsync(LONG_MS);
    expect(shares).toEqual([]);
  });

  it('is left alone once another gateway holds the worker', async () => {
    const { shares, tell, held } = setUp();
    tell('ExecutionStarted', newId());
    held.host = undefined;
    await vi.advanceTimersByTimeAsync(LONG_MS);
    expect(shares).toEqual([]);
  });

  it('is set with the next long run if the engine was away before', async () => {
    const { shares, engine, run } = setUp();
    engine.isAway = true;
    await run(LONG_MS);
    engine.isAway = false;
    await run(LONG_MS);
    expect(shares).toEqual(['yielding', 'full']);
  });
});
