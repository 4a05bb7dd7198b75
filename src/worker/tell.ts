/** Which held worker a recorded event is about, and what it is told. */
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

/** The held worker whose session, execution or context the event is about. */
export function ofStream(
  workers: ReadonlyMap<WorkerId, HeldWorker>,
  { streamKind, streamId }: RecordedEvent,
): HeldWorker | undefined {
  for (const held of workers.values()) {
    if (streamKind === 'session' && held.sessionId === streamId) return held;
    if (streamKind === 'execution' && held.has(streamId as ExecutionId)) return held;
    if (streamKind === 'context' && held.hasContext(streamId as ContextId)) return held;
  }
  return undefined;
}

/** Tells a held worker of an event that somebody has recorded about it. */
export function tell(held: HeldWorker, recorded: RecordedEvent): void {
  const { event } = recorded;
  switch (event.type) {
    case 'SessionOpened':
      held.opened(evolveSession(null, event));
      break;
    case 'ExecutionRequested': {
      const execution = evolveExecution(null, event);
      held.enqueue({ execution, code: event.data.code, lastSeq: 0 });
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
