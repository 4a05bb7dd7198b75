/** Which durable requests a gateway must carry out when it takes a worker over. */
import { describe, expect, it } from 'vitest';
import type { ContextEvent } from '../../src/domain/context.ts';
import type { Execution, ExecutionEvent } from '../../src/domain/execution.ts';
import type { WorkerId } from '../../src/domain/ids.ts';
import type { Session, SessionEvent } from '../../src/domain/session.ts';
import type { RequestRule } from '../../src/events/queries/executionQueries.ts';
import { newId } from '../../src/process/newId.ts';
import { DURABLE_OPERATIONS } from '../../src/worker/operations.ts';
import {
  commitOne,
  contextCreated,
  executionFinished,
  executionRequested,
  interruptRequested,
  kernelRestarted,
  kernelRestartRequested,
  onContext,
  onExecution,
  onSession,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const gateway = await db.open();

/** Stores a session on a new worker with these events. Resolves with the worker and the ids of the events. */
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
  it('are the interrupts of unfinished executions, in the order in which they were requested', async () => {
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
    ['no request', [kernelRestarted('died')], []],
    ['a request without an answer', [kernelRestarted('user'), ask], [1]],
    ['a request, and a kernel that died', [ask, kernelRestarted('died')], [0]],
    ['an answered request', [ask, kernelRestarted('user')], []],
    ['two requests and one answer', [ask, ask, kernelRestarted('user')], [1]],
    ['two answered requests', [ask, kernelRestarted('user'), ask, kernelRestarted('user')], []],
    ['a request, but closed', [ask, closed()], []],
  ] as const)(
    'are the unanswered kernel restarts of a session with %s',
    async (_what, events, expected) => {
      const { workerId, sessionId, ids } = await sessionAfter(...events);
      expect(await pending(workerId)).toEqual(
        expected.map((index) => ({
          type: 'KernelRestartRequested',
          streamId: sessionId,
          requestId: ids[index],
        })),
      );
    },
  );

  it('are the unanswered requests to make, restart and delete open contexts', async () => {
    const { workerId, sessionId } = await sessionAfter();
    const session = await gateway.queries.session(sessionId);
    if (!session) throw new Error('There is no session.');
    const { store } = gateway;
    const at = new Date().toISOString();
    const facts = (...types: readonly ContextEvent['type'][]) =>
      types.map((type) => ({ type, data: { at, readyMs: 1, reason: 'user', executionId: null } }));
    /** Stores a context with these events. Resolves with the types of its pending requests. */
    async function pendingAfter(slot: number, ...types: readonly ContextEvent['type'][]) {
      const made = await commitOne<'context'>(store, contextCreated(session as Session, { slot }));
      if (types.length > 0)
        await store.commit({ streams: [onContext(made, ...(facts(...types) as ContextEvent[]))] });
      const found = await pending(workerId);
      return found.filter(({ streamId }) => streamId === made.id).map(({ type }) => type);
    }
    expect(await pendingAfter(0)).toEqual(['ContextCreated']);
    expect(await pendingAfter(1, 'ContextStarted')).toEqual([]);
    expect(await pendingAfter(2, 'ContextStarted', 'ContextRestartRequested')).toEqual([
      'ContextRestartRequested',
    ]);
    expect(
      await pendingAfter(3, 'ContextStarted', 'ContextRestartRequested', 'ContextRestarted'),
    ).toEqual([]);
    expect(await pendingAfter(4, 'ContextDeleteRequested')).toEqual([
      'ContextCreated',
      'ContextDeleteRequested',
    ]);
    expect(await pendingAfter(5, 'ContextDeleteRequested', 'ContextEnded')).toEqual([]);
  });

  it('are returned as they were recorded, whatever their kind, and in that order', async () => {
    const { workerId, ids } = await sessionAfter(ask);
    const interrupted = await executionAfter(workerId, interruptRequested());
    const found = await gateway.queries.pendingRequests(workerId, DURABLE_OPERATIONS);
    expect(found.map(({ metadata }) => metadata.eventId)).toEqual([...ids, ...interrupted.ids]);
    const stored = await db.readStream('execution', interrupted.executionId);
    expect(found[1]).toEqual(stored[1]);
  });

  it.each([
    ['an answer is for all requests before it', 'all', {}, [2]],
    ['each answer is for one request at least', 'at-least-one', {}, [1, 2]],
    ['only an event with these values is an answer', 'all', { reason: 'user' }, [0, 1, 2]],
  ] as const)('follow the rule: %s', async (_what, answers, data, expected) => {
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
