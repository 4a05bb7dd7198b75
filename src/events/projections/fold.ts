import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import { type Execution, evolveExecution } from '../../domain/execution.ts';
import { evolveSession, type Session } from '../../domain/session.ts';
import { evolveWorker, type Worker } from '../../domain/worker.ts';
import type { StreamAppend } from '../store/eventStore.ts';

/** The state after an append's events. @throws Error if there is no state and the events do not begin one */
export function foldAppend(append: StreamAppend): Worker | Session | Execution {
  switch (append.stream) {
    case 'worker':
      return ended(append.events.reduce(evolveWorker, append.state));
    case 'session':
      return ended(append.events.reduce(evolveSession, append.state));
    case 'execution':
      return ended(append.events.reduce(evolveExecution, append.state));
    default:
      return append satisfies never;
  }
}

/** The state after one recorded event, from the state before it. */
export function foldRecorded(
  state: Worker | Session | Execution | null,
  { streamKind, event }: RecordedEvent<DomainEvent>,
): Worker | Session | Execution {
  const append = { stream: streamKind, id: '', state, events: [event] };
  // A stream holds only events of its kind: commit() takes no others.
  return foldAppend(append as unknown as StreamAppend);
}

function ended<S>(state: S | null): S {
  if (state === null) throw new Error('An append needs at least one event or a state.');
  return state;
}
