/** Which commands a gateway that takes a worker over has to carry out. */
import { describe, expect, it } from 'vitest';
import type { Execution, ExecutionEvent } from '../../src/domain/execution.ts';
import type { WorkerId } from '../../src/domain/ids.ts';
import type { Session, SessionEvent } from '../../src/domain/session.ts';
import type { RequestRule } from '../../src/events/queries/commandQueries.ts';
import { newId } from '../../src/process/newId.ts';
import { DURABLE_OPERATIONS } from '../../src/worker/operations/durableOperations.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  interruptRequested,
  kernelRestarted,
  kernelRestartRequested,
  onExecution,
  onSession,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const gateway = await db.open();

/** A session on a worker of its own, after these events. Resolves with the worker and the ids of the events. */
async function sessionAfter(...events: SessionEvent[]) {
  const workerId = newId<WorkerId>();
  const { store } = gateway;
  let session = await commitOne<'session'>(store, sessionOpened({ workerId, userUuid: workerId }));
  const ids: string[] = [];
  for (const event of events) {
    const committed = await store.commit({ streams: [onSession(session, event)] });
    session = committed.states[0] as Session;
    ids.push(committed.events[0]?.metadata.eventId ?? '');
  }
  return { workerId, sessionId: session.id, ids };
}

async function executionAfter(workerId: WorkerId, ...events: ExecutionEvent[]) {
  const { store } = gateway;
  let execution = await commitOne<'execution'>(store, executionRequested({ workerId }));
  const ids: string[] = [];
  for (const event of events) {
    const committed = await store.commit({ streams: [onExecution(execution, event)] });
    execution = committed.states[0] as Execution;
    ids.push(committed.events[0]?.metadata.eventId ?? '');
  }
  return { executionId: execution.id, ids };
}

async function pending(workerId: WorkerId, rules: readonly RequestRule[] = DURABLE_OPERATIONS) {
  const requests = await gateway.queries.pendingRequests(workerId, rules);
  return requests.map(({ event: { type }, streamId, metadata }) => ({
    type,
    streamId,
    requestId: metadata.eventId,
  }));
}
const ask = kernelRestartRequested();

describe('pendingRequests', () => {
  it('are the interrupts of what has not ended, in the order they were asked for', async () => {
    const workerId = newId<WorkerId>();
    await executionAfter(newId<WorkerId>(), interruptRequested());
    await executionAfter(workerId, interruptRequested(), executionFinished());
    await executionAfter(workerId);
    const twice = await executionAfter(workerId, interruptRequested(), interruptRequested());
    expect(await pending(workerId)).toEqual(
      twice.ids.map((requestId) => ({
        type: 'InterruptRequested',
        requestId,
        streamId: twice.executionId,
      })),
    );
  });

  it.each([
    ['none was asked for', [kernelRestarted('died')], []],
    ['one was, and nothing came', [kernelRestarted('user'), ask], [1]],
    ['one was, and the kernel died', [ask, kernelRestarted('died')], [0]],
    ['one was, and came', [ask, kernelRestarted('user')], []],
    ['two were, and one came', [ask, ask, kernelRestarted('user')], [1]],
    ['two were, and came', [ask, kernelRestarted('user'), ask, kernelRestarted('user')], []],
    ['it is closed', [ask, closed()], []],
  ] as const)('of a session where %s', async (_what, events, expected) => {
    const { workerId, sessionId, ids } = await sessionAfter(...events);
    expect(await pending(workerId)).toEqual(
      expected.map((index) => ({
        type: 'KernelRestartRequested',
        streamId: sessionId,
        requestId: ids[index],
      })),
    );
  });

  it('are of all kinds together, in the order they were asked for, as they were recorded', async () => {
    const { workerId, ids } = await sessionAfter(ask);
    const interrupted = await executionAfter(workerId, interruptRequested());
    const found = await gateway.queries.pendingRequests(workerId, DURABLE_OPERATIONS);
    expect(found.map(({ metadata }) => metadata.eventId)).toEqual([...ids, ...interrupted.ids]);
    const stored = await db.readStream('execution', interrupted.executionId);
    expect(found[1]).toEqual(stored[1]);
  });

  it.each([
    ['an answer is of all before it', 'all', {}, [2]],
    ['each answer is of one at least', 'at-least-one', {}, [1, 2]],
    ['only what has these values is one', 'all', { reason: 'user' }, [0, 1, 2]],
  ] as const)('by what a rule says: %s', async (_what, answers, data, expected) => {
    const { workerId, ids } = await sessionAfter(ask, ask, kernelRestarted('died'), ask);
    const recorded = [ids[0], ids[1], ids[3]];
    const answer = { type: 'KernelRestarted', data, answers } as const;
    const found = await pending(workerId, [{ request: 'KernelRestartRequested', answer }]);
    expect(found.map(({ requestId }) => requestId)).toEqual(
      expected.map((index) => recorded[index]),
    );
  });

  it('are none without a rule', async () => {
    const { workerId } = await sessionAfter(ask);
    expect(await pending(workerId, [])).toEqual([]);
  });

  function closed(): SessionEvent {
    return { type: 'SessionClosed', data: { reason: 'idle', at: new Date().toISOString() } };
  }
});
