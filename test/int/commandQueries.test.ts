/** Which commands a gateway that takes a worker over has to carry out. */
import { describe, expect, it } from 'vitest';
import type { Execution, ExecutionEvent } from '../../src/domain/execution.ts';
import type { WorkerId } from '../../src/domain/ids.ts';
import type { Session, SessionEvent } from '../../src/domain/session.ts';
import { newId } from '../../src/process/newId.ts';
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
  return { workerId, ids };
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

const pending = (workerId: WorkerId) => gateway.queries.pendingCommands(workerId);
const ask = kernelRestartRequested();

describe('pendingCommands', () => {
  it('are the interrupts of what has not ended, in the order they were asked for', async () => {
    const workerId = newId<WorkerId>();
    await executionAfter(newId<WorkerId>(), interruptRequested());
    await executionAfter(workerId, interruptRequested(), executionFinished());
    await executionAfter(workerId);
    const twice = await executionAfter(workerId, interruptRequested(), interruptRequested());
    expect(await pending(workerId)).toEqual(
      twice.ids.map((requestId) => ({
        type: 'interrupt',
        requestId,
        executionId: twice.executionId,
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
    const { workerId, ids } = await sessionAfter(...events);
    expect(await pending(workerId)).toEqual(
      expected.map((index) => ({ type: 'restart', requestId: ids[index] })),
    );
  });

  function closed(): SessionEvent {
    return { type: 'SessionClosed', data: { reason: 'idle', at: new Date().toISOString() } };
  }
});
