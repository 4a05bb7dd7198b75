/** Checks what is stored, and what is left at rest. */
import type { DomainEvent, RecordedEvent } from '../../src/domain/events.ts';
import { type History, isAsItShould, type RestSnapshot, type WorkerProcesses } from '../history.ts';
import { doubled, type Facts, lost, ofType, orphan, type Violation } from './facts.ts';

// Checks what must always be true of the event store: an order without holes, and nothing after an end.

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

// Checks what `cellhouse audit verify` has found, and that it has looked at every event.

export function checkChain({ events, rest }: History): Violation[] {
  const { serving, down } = rest.audit;
  const linked = events.filter(({ position }) => position <= serving.position).length;
  return [
    ...new Set([...serving.findings, ...down.findings].map((finding) => `the audit: ${finding}`)),
    ...(serving.unsealed > 0 ? [`${serving.unsealed} events were not sealed at rest`] : []),
    ...(serving.events === linked
      ? []
      : [`the audit compared ${serving.events} events of ${linked}`]),
  ].map(lost);
}

// Checks the state at rest: nothing may be unfinished, unknown or held.

export function checkRest({ rest, exits }: History): Violation[] {
  return [
    ...rest.unserved.map((user) => lost(`${user} was not served though all was healed`)),
    ...exits.map(({ gateway, how }) => lost(`gateway ${gateway} ended by itself: ${how}`)),
    ...rest.exitCodes
      .filter((code) => code !== 0)
      .map((code) => lost(`a gateway, or down, ended with ${code} instead of 0`)),
    ...checkServing(rest.serving),
    ...checkUnheld('with all gateways stopped', rest.stopped),
    ...checkUnheld('after down', rest.down),
    ...checkEmpty(rest.down),
  ];
}

function checkServing(rest: RestSnapshot): Violation[] {
  const { containers, workers, unfinished, leases, socketFolders, waiting } = rest;
  const strangers = leases.filter(
    (name) => name.startsWith('worker-') && !workers.includes(name.slice('worker-'.length)),
  );
  return [
    ...without(containers, workers).map((id) => orphan(`container of ${id}, which is no worker`)),
    ...without(workers, containers).map((id) => orphan(`worker ${id} has no container`)),
    ...without(socketFolders, workers).map((id) => orphan(`folder of ${id}, which is no worker`)),
    ...unfinished.map((id) => orphan(`execution ${id} goes on`)),
    ...strangers.map((name) => orphan(`lease ${name}, of no worker`)),
    ...rest.processes.filter((each) => !isAsItShould(each)).map(processesLeft),
    ...rest.images.map((id) => orphan(`image ${id}, of no environment`)),
    ...(waiting > 0 ? [orphan(`${waiting} calls wait for a worker`)] : []),
  ];
}

function processesLeft(found: WorkerProcesses): Violation {
  const { workerId, contexts, ofUser, reapers, strangers } = found;
  return orphan(
    `processes in worker ${workerId}: ${ofUser} of the user below ${reapers} reapers of kernels for ${contexts} contexts, and ${strangers} strangers`,
  );
}

function checkUnheld(when: string, { leases, connections }: RestSnapshot): Violation[] {
  return [
    ...leases.map((name) => orphan(`lease ${name} ${when}`)),
    ...connections.map((name) => orphan(`connection ${name} ${when}`)),
  ];
}

function checkEmpty({ containers, workers, socketFolders }: RestSnapshot): Violation[] {
  return [
    ...containers.map((id) => orphan(`container of ${id} after down`)),
    ...workers.map((id) => orphan(`worker ${id} after down`)),
    ...socketFolders.map((id) => orphan(`folder of ${id} after down`)),
  ];
}

function without(all: readonly string[], some: readonly string[]): string[] {
  return all.filter((each) => !some.includes(each));
}
