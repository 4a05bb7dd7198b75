/** Finds the fault that explains a failure. A failure without such a fault is a violation. */
import type { FaultName, FaultRecord, History } from '../history.ts';

/**
 * How long after a fault its effect may be recorded. A dead worker is noticed within seconds, but its loss can be
 * recorded only when a gateway, the database and the engine are available.
 */
const REACH_MS = 100_000;
/** Tolerance for the order of two records: all processes share one clock, but a fault may be noted after its effect. */
const SLACK_MS = 1_000;

const PAUSES: readonly FaultName[] = ['container: paused', 'agent: SIGSTOP, SIGCONT'];
const ENDS_OF_WORKER: readonly FaultName[] = [
  'container: removed',
  'container: killed',
  'agent: kill -9',
  ...PAUSES,
];
const ENDS_OF_KERNEL: readonly FaultName[] = [
  'kernel: kill -9',
  'reaper: kill -9',
  ...ENDS_OF_WORKER,
];
/** `helper: kill -9` may kill the spawner or the command's reaper. `kernel: kill -9` also kills commands. */
const ENDS_OF_COMMAND: readonly FaultName[] = ['helper: kill -9', ...ENDS_OF_KERNEL];

type Period = readonly [from: number, to: number];

/** The latest fault on this worker that can have ended it. */
export function endOfWorker(history: History, workerId: string, at: number): FaultRecord | null {
  return find(history, ENDS_OF_WORKER, [at - REACH_MS, at], (fault) => fault.workerId === workerId);
}

/** The latest fault on this worker that can have ended its kernel. */
export function endOfKernel(
  history: History,
  workerId: string,
  [from, to]: Period,
): FaultRecord | null {
  const period = [from - REACH_MS, to] as const;
  return find(history, ENDS_OF_KERNEL, period, (fault) => fault.workerId === workerId);
}

/** The latest fault on this worker that can have ended a command, or kept the command from starting. */
export function endOfCommand(
  history: History,
  workerId: string,
  [from, to]: Period,
): FaultRecord | null {
  const period = [from - REACH_MS, to] as const;
  return find(history, ENDS_OF_COMMAND, period, (fault) => fault.workerId === workerId);
}

/** The latest fault that can have made code on this worker miss its time limit. */
export function pauseOfWorker(history: History, workerId: string, period: Period) {
  return find(history, PAUSES, period, (fault) => fault.workerId === workerId);
}

/**
 * The latest fault that can have prevented the making of this worker. Faults on other workers and on single users (a
 * full disk, a revoked token) cannot.
 */
export function obstacleToMaking(history: History, workerId: string, [from, to]: Period) {
  const period = [from - REACH_MS, to] as const;
  return find(history, null, period, (fault) =>
    fault.workerId === null ? fault.user === null : fault.workerId === workerId,
  );
}

/** The latest fault that can have prevented the storing of output. */
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
