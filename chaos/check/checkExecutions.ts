/** Checks that every answer to a client matches the records, and that each execution has exactly one end. */

import type { CallRecord } from '../history.ts';
import {
  doubled,
  type ExecutionFacts,
  type Facts,
  groupBy,
  lost,
  type Violation,
} from './facts.ts';
import { wasOpen } from './openContexts.ts';

/** Calls that are answered with an execution. */
const OF_EXECUTIONS: readonly CallRecord['operation'][] = ['execute', 'submit', 'interrupt'];

export function checkExecutions(facts: Facts): Violation[] {
  return [
    ...facts.executions.flatMap(checkEnd),
    ...facts.history.calls.flatMap((call) => checkAnswer(facts, call)),
    ...checkKeys(facts),
  ];
}

function checkEnd({ id, ends, hasGap, outputs }: ExecutionFacts): Violation[] {
  if (ends.length === 0) return [lost(`execution ${id} has no end`)];
  if (ends.length > 1) return [doubled(`execution ${id} has ${ends.length} ends`)];
  const finishes = outputs.filter(({ kind }) => kind === 'finish').length;
  if (finishes !== 1 || outputs.at(-1)?.kind !== 'finish')
    return [lost(`the outputs of execution ${id} do not end with its finish`)];
  if (ends[0]?.truncated === hasGap) return [];
  return [lost(`execution ${id} says truncated: ${ends[0]?.truncated}, its outputs do not`)];
}

function checkAnswer(facts: Facts, call: CallRecord): Violation[] {
  const { operation, answer, user, key } = call;
  if (call.refusal !== null) return checkRefusal(facts, call, call.refusal);
  if (answer === null || !OF_EXECUTIONS.includes(operation)) return [];
  const execution = facts.executionOf.get(answer.id ?? '');
  const name = `${operation} of ${user}, key ${key ?? '(none)'}`;
  if (!execution) return [lost(`${name} was told execution ${answer.id}, which is not recorded`)];
  if (execution.user !== user || (key !== null && execution.key !== key))
    return [lost(`${name} was told execution ${answer.id}, which is another's`)];
  return operation === 'execute' ? checkTold(execution, name, call, answer) : [];
}

/** Checks the answer of `execute`, which contains the end. */
function checkTold(
  { ends, text, mark, cell, isCommand }: ExecutionFacts,
  name: string,
  { wire }: CallRecord,
  answer: NonNullable<CallRecord['answer']>,
): Violation[] {
  const [end] = ends;
  const violations: Violation[] = [];
  // The exit code of a kernel that has died is recorded, too.
  const exitCode = isCommand ? end?.exitCode : null;
  // Jupyter has no words for lost variables.
  const stateLost = wire === 'jupyter' ? end?.stateLost : answer.stateLost;
  const told = `${answer.status}, stateLost ${stateLost}, exit code ${answer.exitCode}`;
  const recorded = `${end?.status}, stateLost ${end?.stateLost}, exit code ${exitCode}`;
  if (told !== recorded) violations.push(lost(`${name} was told ${told}, recorded is ${recorded}`));
  if (answer.stdout !== text)
    violations.push(
      lost(
        `${name} was told ${answer.stdout.length} characters of output, recorded are ${text.length}`,
      ),
    );
  const isCounted = (cell === 'counter' || cell === 'batch') && answer.status === 'OK';
  if (isCounted && answer.result !== String(mark?.place))
    violations.push(
      lost(`${name} was told the count ${answer.result}, it ran as number ${mark?.place}`),
    );
  if (cell === 'fill' && answer.status === 'OK' && !answer.stdout.endsWith('errno 28\n'))
    violations.push(lost(`${name}: a full disk did not say ENOSPC`));
  return violations;
}

function checkRefusal(facts: Facts, call: CallRecord, refusal: string): Violation[] {
  const { operation, user, wire, startedAt, endedAt, contextId, key } = call;
  if (contextId !== null && refusal === 'NOT_FOUND' && !wasOpen(facts, contextId, call)) {
    // Jupyter tells nothing of a kernel that has ended, not even what ran in it.
    const isRecorded =
      key !== null && wire !== 'jupyter' && facts.executions.some((each) => each.key === key);
    return isRecorded ? [lost(`key ${key} of ${user} was refused, and is recorded`)] : [];
  }
  const hadSessionThroughout = facts.sessions.some(
    ({ user: owner, openedAt, closes: [close] }) =>
      owner === user && openedAt < startedAt && (close?.at ?? Infinity) > endedAt,
  );
  if (operation === 'restartKernel' && refusal === 'NOT_FOUND' && !hadSessionThroughout) return [];
  return [lost(`${operation} of ${user} was refused with ${refusal}`)];
}

/** Checks that each key has only one execution, however often and wherever it was sent. */
function checkKeys({ executions, history }: Facts): Violation[] {
  const recorded = groupBy(executions, ({ key }) => key);
  const told = groupBy(history.calls, ({ key }) => key);
  const violations: Violation[] = [];
  for (const [key, all] of recorded) {
    if (key !== null && all.length > 1)
      violations.push(doubled(`key ${key} has ${all.length} executions`));
  }
  for (const [key, calls] of told) {
    const ids = new Set(calls.flatMap(({ answer }) => answer?.id ?? []));
    if (key !== null && ids.size > 1)
      violations.push(doubled(`key ${key} was answered with ${[...ids].join(' and ')}`));
  }
  return violations;
}
