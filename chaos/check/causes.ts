/** Which faults explain what. Whatever none of them explains is a violation. */
import type { FaultName, FaultRecord, History } from '../history.ts';

/** A worker is given up within seconds, but recorded as lost only when there is a gateway, a database, an engine: minutes later. */
const REACH_MS = 100_000;
/** Two processes' clocks are one here, but what is struck first may be noted last. */
const SLACK_MS = 1_000;

const PAUSES: readonly FaultName[] = ['container: paused', 'agent: SIGSTOP, SIGCONT'];
const ENDS_OF_WORKER: readonly FaultName[] = [
  'container: removed',
  'container: killed',
  'agent: kill -9',
  ...PAUSES,
];
const ENDS_OF_KERNEL: readonly FaultName[] = ['kernel: kill -9', ...ENDS_OF_WORKER];

type Period = readonly [from: number, to: number];

/** What can end a worker, done to this one. */
export function endOfWorker(history: History, workerId: string, at: number): FaultRecord | null {
  return find(history, ENDS_OF_WORKER, [at - REACH_MS, at], (fault) => fault.workerId === workerId);
}

/** What can cost a worker its kernel. */
export function endOfKernel(
  history: History,
  workerId: string,
  [from, to]: Period,
): FaultRecord | null {
  const period = [from - REACH_MS, to] as const;
  return find(history, ENDS_OF_KERNEL, period, (fault) => fault.workerId === workerId);
}

/** What can make code of this worker miss its time limit. */
export function pauseOfWorker(history: History, workerId: string, period: Period) {
  return find(history, PAUSES, period, (fault) => fault.workerId === workerId);
}

/** What can keep a worker from being made: all but what is done to others, or to a disk. */
export function obstacleToMaking(history: History, workerId: string, [from, to]: Period) {
  const period = [from - REACH_MS, to] as const;
  return find(history, null, period, (fault) =>
    fault.workerId === null ? fault.user === null : fault.workerId === workerId,
  );
}

/** What can keep output from being stored. */
export function obstacleToStoring(history: History, [from, to]: Period): FaultRecord | null {
  return find(history, null, [from - REACH_MS, to], ({ name }) =>
    /^(gateway|PostgreSQL|wire):/.test(name),
  );
}

function find(
  history: History,
  names: readonly FaultName[] | null,
  [from, to]: Period,
  isRight: (fault: FaultRecord) => boolean,
): FaultRecord | null {
  const found = history.faults.filter(
    (fault) =>
      (names === null || names.includes(fault.name)) &&
      fault.startedAt <= to + SLACK_MS &&
      fault.healedAt >= from &&
      isRight(fault),
  );
  return found.at(-1) ?? null;
}
