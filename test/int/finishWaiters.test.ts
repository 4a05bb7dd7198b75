/** Whoever waits for an end is woken by it, whatever was told in which order; the look every 5 s is for a feed that was cut off. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import {
  createFinishWaiters,
  type FinishWaiters,
} from '../../src/service/execute/finishWaiters.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

/** Well below that look. */
const PROMPT_MS = 2_000;

const db = await useDatabase();
const [here, there] = [await db.open(), await db.open()] as const;
let waiters: FinishWaiters;
let reads: number;
beforeEach(() => {
  reads = 0;
  waiters = createFinishWaiters({
    execution: (id) => {
      reads += 1;
      return here.queries.execution(id);
    },
  });
  here.wakeUps.onEvent((event) => waiters.apply(event));
});

const request = () => commitOne<'execution'>(there.store, executionRequested());
const started = { type: 'ExecutionStarted', data: { at: new Date().toISOString() } } as const;
const finish = (execution: Execution) =>
  commitOne<'execution'>(there.store, onExecution(execution, started, executionFinished()));
const heardOf = ({ position }: { position: number }) =>
  expect.poll(() => here.wakeUps.position).toBeGreaterThanOrEqual(position);

async function lastPosition(): Promise<{ position: number }> {
  return { position: await there.store.lastPosition() };
}

const wait = (execution: Execution) => waiters.wait(execution, AbortSignal.timeout(PROMPT_MS));

describe('a wait', () => {
  it('ends with an execution that ends at another gateway', async () => {
    const execution = await request();
    const waiting = wait(execution);
    await finish(execution);
    expect(await waiting).toMatchObject({ status: 'OK', version: 3 });
  });

  it('that begins when the end was told already ends at once', async () => {
    const execution = await request();
    await finish(execution);
    await heardOf(await lastPosition());
    expect(await wait(execution)).toMatchObject({ status: 'OK', version: 3 });
  });

  it('that was told of the end and not of what came before ends', async () => {
    const execution = await request();
    const running = await commitOne<'execution'>(there.store, onExecution(execution, started));
    await heardOf(await lastPosition());
    const waiting = wait(execution);
    await commitOne(there.store, onExecution(running, executionFinished()));
    expect(await waiting).toMatchObject({ status: 'OK', version: 3 });
  });

  it('for one that was followed from before its request reads nothing, however fast that ended', async () => {
    const append = executionRequested();
    const unfollow = waiters.follow(append.id as ExecutionId);
    const execution = await commitOne<'execution'>(there.store, append);
    await finish(execution);
    await heardOf(await lastPosition());
    expect(await wait(execution)).toMatchObject({ status: 'OK', version: 3 });
    expect(reads).toBe(0);
    unfollow();
  });

  it('of several for the same execution all end', async () => {
    const execution = await request();
    const waiting = [wait(execution), wait(execution), wait(execution)];
    await finish(execution);
    for (const each of await Promise.all(waiting)) expect(each.status).toBe('OK');
  });

  it('ends with its signal', async () => {
    const execution = await request();
    const aborter = new AbortController();
    const waiting = waiters.wait(execution, aborter.signal);
    aborter.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
