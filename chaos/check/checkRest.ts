/** Checks the state at rest: nothing may be unfinished, unknown or held. */
import { type History, isAsItShould, type RestSnapshot, type WorkerProcesses } from '../history.ts';
import { lost, orphan, type Violation } from './facts.ts';

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
