/** Finds the held worker that a recorded event is about, and passes the event to it. */
import type { RecordedEvent } from '../domain/events.ts';
import { evolveExecution } from '../domain/execution.ts';
import type { ContextId, ExecutionId, WorkerId } from '../domain/ids.ts';
import { evolveSession } from '../domain/session.ts';
import type { HeldWorker } from './heldWorker.ts';
import { operationOf } from './operations/durableOperations.ts';

/** The worker that an event names, or null if it names none. */
export function workerOf({ event }: RecordedEvent): WorkerId | null {
  switch (event.type) {
    case 'ExecutionRequested':
    case 'SessionOpened':
    case 'ContextCreated':
      return event.data.workerId;
    default:
      return null;
  }
}

/** Whether the event is about this worker: it names the worker, or is of its session, executions or contexts. */
export function isAbout(held: HeldWorker, recorded: RecordedEvent): boolean {
  const { streamKind, streamId } = recorded;
  if (streamKind === 'session' && held.sessionId === streamId) return true;
  if (streamKind === 'execution' && held.has(streamId as ExecutionId)) return true;
  if (streamKind === 'context' && held.hasContext(streamId as ContextId)) return true;
  return workerOf(recorded) === held.workerId;
}

/** Passes an event to the held worker that it is about ({@link isAbout}), whichever gateway recorded the event. */
export function tell(held: HeldWorker, recorded: RecordedEvent): void {
  const { event } = recorded;
  switch (event.type) {
    case 'SessionOpened':
      held.opened(evolveSession(null, event));
      break;
    case 'ExecutionRequested': {
      const execution = evolveExecution(null, event);
      const { code, userExpressions } = event.data;
      held.enqueue({ execution, code, ...(userExpressions && { userExpressions }), lastSeq: 0 });
      break;
    }
    case 'InputSent':
      held.takeInput({ ...recorded, event });
      break;
    case 'SessionClosed':
      if (held.sessionId === recorded.streamId) void held.end(event.data.reason);
      break;
    default:
      if (operationOf(event.type)) held.carryOut(recorded);
  }
}
