/** Checks what must always be true of the event store: an order without holes, and nothing after an end. */
import type { DomainEvent, RecordedEvent } from '../../src/domain/events.ts';
import { doubled, type Facts, lost, ofType, type Violation } from './facts.ts';

const LAST: readonly DomainEvent['type'][] = [
  'ContextEnded',
  'ExecutionFinished',
  'FileChangeFailed',
  'FileDeleted',
  'FileMoved',
  'FileWritten',
  'SessionClosed',
  'WorkerRemoved',
];

const ONCE = ['ContextStarted', 'ExecutionStarted', 'WorkerAssigned', 'WorkerReady'] as const;

export function checkStore({ history, streams }: Facts): Violation[] {
  const wrong = history.events.find(({ position }, index) => position !== index + 1);
  return [
    ...(wrong ? [lost(`there is a hole before the event at position ${wrong.position}`)] : []),
    ...[...streams.values()].flatMap(checkStream),
  ];
}

function checkStream(events: readonly RecordedEvent[]): Violation[] {
  const name = `stream ${events[0]?.streamKind}-${events[0]?.streamId}`;
  const violations: Violation[] = [];
  if (events.some(({ version }, index) => version !== index + 1))
    violations.push(lost(`${name} has a hole, or is out of order`));
  if (events.slice(0, -1).some(({ event }) => LAST.includes(event.type)))
    violations.push(doubled(`${name} goes on after its end`));
  for (const type of ONCE) {
    if (ofType(events, type).length > 1)
      violations.push(doubled(`${name} has more than one ${type}`));
  }
  return violations;
}
