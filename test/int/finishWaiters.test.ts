/**
 * A wait for an execution's end is woken by the event of the end, whether the wait or the event comes first. The check
 * every 5 s is only for an interrupted event feed.
 */
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

/** Below the 5 s of that check. */
const PROMPT_MS = 4_500;

const db = await useDatabase();
const [here, there] = [await db.open(), await db.open()] as const;
let waiters: FinishWaiters;
let reads: number;
/** The position up to which `here` has passed on all events. */
let told = 0;
here.wakeUps.onEvent(({ position }) => {
  told = position;
});
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
  expect.poll(() => told).toBeGreaterThanOrEqual(position);

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

  it('that begins after the end was announced ends at once', async () => {
    const execution = await request();
    await finish(execution);
    await heardOf(await lastPosition());
    expect(await wait(execution)).toMatchObject({ status: 'OK', version: 3 });
  });

  it('ends even if it gets only the event of the end, and none before', async () => {
    const execution = await request();
    const running = await commitOne<'execution'>(there.store, onExecution(execution, started));
    await heardOf(await lastPosition());
    const waiting = wait(execution);
    await commitOne(there.store, onExecution(running, executionFinished()));
    expect(await waiting).toMatchObject({ status: 'OK', version: 3 });
  });

  it('reads nothing if the execution was followed before its request, however fast it ended', async () => {
    const append = executionRequested();
    const unfollow = waiters.follow(append.id as ExecutionId);
    const execution = await commitOne<'execution'>(there.store, append);
    await finish(execution);
    await heardOf(await lastPosition());
    expect(await wait(execution)).toMatchObject({ status: 'OK', version: 3 });
    expect(reads).toBe(0);
    unfollow();
  });

  it('ends for all callers that wait for the same execution', async () => {
    const execution = await request();
    const waiting = [wait(execution), wait(execution), wait(execution)];
    await finish(execution);
    for (const each of await Promise.all(waiting)) expect(each.status).toBe('OK');
  });

  it('ends when its signal is aborted', async () => {
    const execution = await request();
    const aborter = new AbortController();
    const waiting = waiters.wait(execution, aborter.signal);
    aborter.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
