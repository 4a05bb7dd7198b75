/** Checks that whenever something ends or variables are lost, there is a cause: an action of the user or a fault. */

import type { CallRecord, CellKind } from '../history.ts';
import {
  endOfCommand,
  endOfKernel,
  endOfWorker,
  obstacleToMaking,
  pauseOfWorker,
} from './causes.ts';
import { hasEndedByItself } from './checkCommands.ts';
import {
  callsWithin,
  doubled,
  type ExecutionFacts,
  type Facts,
  groupBy,
  lost,
  ofType,
  type SessionFacts,
  type Violation,
  type WorkerFacts,
} from './facts.ts';

/** Cells that reach their own time limit. For `deaf` the kernel is replaced, too. */
const ENDLESS: readonly (CellKind | null)[] = ['endless', 'runaway', 'deaf'];

export function checkCauses(facts: Facts): Violation[] {
  const cells = facts.executions.filter(({ isCommand }) => !isCommand);
  const contexts = groupBy(cells, ({ user, contextId }) => contextId ?? user);
  return [
    ...facts.sessions.flatMap((session) => checkSession(facts, session)),
    ...facts.workers.flatMap((worker) => checkWorker(facts, worker)),
    ...facts.executions.flatMap((execution) => checkEnd(facts, execution)),
    ...[...contexts.values()].flatMap((executions) => checkStates(facts, executions)),
  ];
}

function checkSession(facts: Facts, { id, user, workerId, closes }: SessionFacts): Violation[] {
  const [close] = closes;
  if (closes.length > 1) return [doubled(`session ${id} has ${closes.length} ends`)];
  if (!close) return [];
  const { reason, at } = close;
  const isCaused =
    (reason === 'released' && callsWithin(facts, user, ['release'], [at, at]).length > 0) ||
    (reason === 'shutdown' && isAfterAll(facts, at)) ||
    (reason === 'worker-lost' && endOfWorker(facts.history, workerId, at) !== null);
  return isCaused ? [] : [lost(`session ${id} of ${user} ended as ${reason} without a cause`)];
}

/** Whether all calls had ended. `cellhouse down`, which ends the sessions that are still open, runs only after that. */
function isAfterAll({ history }: Facts, at: number): boolean {
  return history.calls.every(({ endedAt }) => endedAt <= at);
}

function checkWorker(
  { history }: Facts,
  { id, isReady, losses, requestedAt }: WorkerFacts,
): Violation[] {
  const [loss] = losses;
  if (losses.length > 1) return [doubled(`worker ${id} was lost ${losses.length} times`)];
  if (!loss) return [];
  const cause = isReady
    ? endOfWorker(history, id, loss.at)
    : obstacleToMaking(history, id, [requestedAt, loss.at]);
  return cause ? [] : [lost(`worker ${id} was lost (${loss.reason}) without a cause`)];
}

function checkEnd(facts: Facts, execution: ExecutionFacts): Violation[] {
  const [end] = execution.ends;
  if (!end || end.status === 'OK' || isEndCaused(facts, execution, end)) return [];
  const { id, user, cell } = execution;
  const how = end.errorName === null ? end.status : `${end.status} (${end.errorName})`;
  return [lost(`execution ${id} of ${user} (${cell}) ended as ${how} without a cause`)];
}

function isEndCaused(
  facts: Facts,
  execution: ExecutionFacts,
  { status, errorName, at }: ExecutionFacts['ends'][number],
): boolean {
  const { history, workers } = facts;
  const { id, user, wire, workerId, cell, requestedAt, contextId, isCommand } = execution;
  const period = [requestedAt, at] as const;
  // Only calls for the execution's own context count.
  const has = (operation: CallRecord['operation']) =>
    callsWithin(facts, user, [operation], period).some((call) => call.contextId === contextId);
  const isInterrupted = () =>
    history.calls.some(({ executionId }) => executionId === id) || has('interruptKernel');
  switch (status) {
    case 'OK':
      return true;
    case 'TIMEOUT':
      return ENDLESS.includes(cell) || pauseOfWorker(history, workerId, period) !== null;
    case 'INTERRUPTED':
      return (
        isInterrupted() ||
        isBrokenOff(facts, execution) ||
        (!isCommand && (has('restartKernel') || has('deleteContext')))
      );
    case 'CANCELLED':
      return (
        isInterrupted() ||
        isBrokenOff(facts, execution) ||
        // A restart over Jupyter also cancels the executions that wait.
        (wire === 'jupyter' && has('restartKernel')) ||
        (contextId !== null && has('deleteContext')) ||
        callsWithin(facts, user, ['release'], period).length > 0
      );
    case 'WORKER_LOST':
      return workers.some((worker) => worker.id === workerId && worker.losses.length > 0);
    case 'ERROR':
      if (isCommand)
        return hasEndedByItself(execution) || endOfCommand(history, workerId, period) !== null;
      return errorName === 'KernelDied' && endOfKernel(history, workerId, period) !== null;
    default:
      return status satisfies never;
  }
}

/** If a caller over MCP disconnects before the answer, the gateway interrupts the code (docs/use/doors/mcp.md). */
function isBrokenOff({ history }: Facts, { key }: ExecutionFacts): boolean {
  return history.calls.some(
    (call) => call.wire === 'mcp' && call.key === key && call.answer === null,
  );
}

/**
 * Checks the `stateLost` flags of the executions in one context, or in all default contexts of one user. Each
 * replacement of the kernel must have a cause, and must be reported unless the user released the session. No
 * replacement may be reported that did not happen.
 */
function checkStates(facts: Facts, executions: readonly ExecutionFacts[]): Violation[] {
  const marked = executions.filter(({ mark }) => mark !== null);
  return marked.slice(1).flatMap((next, index) => {
    const last = marked[index];
    return last ? checkStep(facts, last, next, executions) : [];
  });
}

function checkStep(
  facts: Facts,
  last: ExecutionFacts,
  next: ExecutionFacts,
  executions: readonly ExecutionFacts[],
): Violation[] {
  const told = executions.some(
    ({ position, ends }) =>
      position >= last.position && position <= next.position && ends[0]?.stateLost,
  );
  const name = `between ${last.key} and ${next.key}`;
  if (last.mark?.life === next.mark?.life) {
    const isFalse =
      last.ends[0]?.stateLost &&
      isSameLifeBefore(executions, last) &&
      !isReplacedMeanwhile(facts, last);
    return isFalse ? [lost(`${last.key} was told that its state is lost; it is not`)] : [];
  }
  const period = [last.requestedAt, next.ends[0]?.at ?? Infinity] as const;
  if (callsWithin(facts, last.user, ['release'], period).length > 0) return [];
  if (!told) return [lost(`variables were lost ${name}, and nobody was told`)];
  const restarts = callsWithin(facts, last.user, ['restartKernel'], period);
  if (restarts.some(({ contextId }) => contextId === last.contextId)) return [];
  const isDeaf = executions.some(
    ({ cell, position }) =>
      cell === 'deaf' && position >= last.position && position <= next.position,
  );
  if (isDeaf || endOfKernel(facts.history, last.workerId, period) !== null) return [];
  return [lost(`variables were lost ${name} without a cause`)];
}

/**
 * Whether the execution before this one ran in the same life of the kernel. The first execution of a life may report a
 * loss, because variables were lost when the previous life ended.
 */
function isSameLifeBefore(
  executions: readonly ExecutionFacts[],
  { mark, position }: ExecutionFacts,
) {
  const before = executions.findLast((each) => each.mark !== null && each.position < position);
  return before?.mark?.life === mark?.life;
}

/**
 * Whether the kernel was replaced while the execution waited or ran. Every execution that waited at that time reports a
 * loss, not only the first to run in the new kernel.
 */
function isReplacedMeanwhile(
  { streams }: Facts,
  { id, sessionId, contextId, position }: ExecutionFacts,
): boolean {
  const end = ofType(streams.get(id) ?? [], 'ExecutionFinished')[0]?.position ?? Infinity;
  const replaced = [
    ...ofType(streams.get(contextId ?? sessionId) ?? [], 'KernelRestarted'),
    ...ofType(streams.get(contextId ?? sessionId) ?? [], 'ContextRestarted'),
  ];
  return replaced.some((restart) => restart.position > position && restart.position <= end);
}
