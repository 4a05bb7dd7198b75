/** Checks that every answer to a client matches the records, and that each execution has exactly one end. */
import type { CallRecord } from '../history.ts';
import { endOfKernel } from './causes.ts';
import {
  type ContextFacts,
  callsWithin,
  doubled,
  type ExecutionFacts,
  type Facts,
  groupBy,
  lost,
  orphan,
  type Violation,
} from './facts.ts';

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
  return operation === 'execute' ? checkExecuteAnswer(execution, name, call, answer) : [];
}

/** Checks the answer of `execute`, which contains the end. */
function checkExecuteAnswer(
  { ends, text, mark, cell, isCommand }: ExecutionFacts,
  name: string,
  { wire }: CallRecord,
  answer: NonNullable<CallRecord['answer']>,
): Violation[] {
  const [end] = ends;
  const violations: Violation[] = [];
  // A cell whose kernel died has a recorded exit code, too: the kernel's. Answers do not contain it.
  const exitCode = isCommand ? end?.exitCode : null;
  // Jupyter's protocol cannot report lost variables.
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
    // Over Jupyter, a kernel that has ended is not found, even if the code ran in it before.
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

// Checks what ran in each life of a kernel. Each run prints its place in the kernel's list of keys, and the previous
// key. This shows whether anything ran twice, without a record, or out of the order in which it was accepted.

export function checkCounters(facts: Facts): Violation[] {
  const marked = facts.executions.filter(({ mark }) => mark !== null);
  const lives = groupBy(marked, ({ mark }) => mark?.life);
  return [
    ...facts.executions.filter(({ isCommand }) => !isCommand).flatMap(checkMark),
    ...[...lives.values()].flatMap((life) => checkLife(facts, life)),
    ...marked.filter(({ cell }) => cell === 'audit').flatMap((audit) => checkAudit(facts, audit)),
  ];
}

/** Code that ended well has printed its mark. A gap can drop later output, but never the first line. */
function checkMark({ id, ends, mark }: ExecutionFacts): Violation[] {
  return ends[0]?.status === 'OK' && mark === null
    ? [lost(`execution ${id} has lost its first line`)]
    : [];
}

function checkLife({ executions }: Facts, life: readonly ExecutionFacts[]): Violation[] {
  const violations: Violation[] = [];
  for (const [index, next] of life.entries()) {
    const last = life[index - 1];
    const place = next.mark?.place ?? 0;
    const lastPlace = last?.mark?.place ?? 0;
    const name = `${next.key} (life ${next.mark?.life}, place ${place})`;
    // Executions that did not end well may have run without being able to print their mark.
    const silent = executions.filter(
      ({ sessionId, contextId, isCommand, position, mark, ends }) =>
        sessionId === next.sessionId &&
        contextId === next.contextId &&
        !isCommand &&
        position > (last?.position ?? 0) &&
        position < next.position &&
        mark === null &&
        ends[0]?.status !== 'OK',
    );
    if (last && last.sessionId !== next.sessionId)
      violations.push(lost(`${name} ran in the kernel of another session`));
    else if (last && last.contextId !== next.contextId)
      violations.push(lost(`${name} ran in the kernel of another context`));
    if (next.mark?.previousKey === next.key) violations.push(doubled(`${name} ran twice`));
    else if (place <= lastPlace)
      violations.push(
        lost(`${name} ran before ${last?.key} (place ${lastPlace}), accepted earlier`),
      );
    else if (place - lastPlace - 1 > silent.length)
      violations.push(skipped(executions, next, name, place - lastPlace - 1 - silent.length));
    else if (place === lastPlace + 1 && last && next.mark?.previousKey !== last.key)
      violations.push(lost(`${name} ran after ${next.mark?.previousKey}, not after ${last.key}`));
  }
  return violations;
}

/** Something ran in between: a recorded execution ran again, or an unrecorded one ran. */
function skipped(
  executions: readonly ExecutionFacts[],
  { mark, user }: ExecutionFacts,
  name: string,
  count: number,
): Violation {
  const isRecorded = executions.some(
    (each) => each.user === user && each.key === mark?.previousKey,
  );
  const what = `${count} more ran before ${name} than are recorded; the last was ${mark?.previousKey}`;
  return isRecorded ? doubled(what) : lost(what);
}

/** Checks the kernel's own list of keys, which an audit prints after its mark. */
function checkAudit({ executions }: Facts, audit: ExecutionFacts): Violation[] {
  if (audit.ends[0]?.status !== 'OK') return [];
  const keys = audit.text.split('\n')[1]?.split(' ') ?? [];
  const known = new Set(executions.map(({ key }) => key));
  return [
    ...keys
      .filter((key, index) => keys.indexOf(key) !== index)
      .map((key) => doubled(`${key} ran twice in life ${audit.mark?.life}`)),
    ...keys
      .filter((key) => !known.has(key))
      .map((key) => lost(`${key} ran in life ${audit.mark?.life} and is not recorded`)),
  ];
}

// Checks that contexts are created once, end once and with a cause, and end with their session. `checkCauses.ts` checks
// that each loss of a context's variables was reported.

export function checkContexts(facts: Facts): Violation[] {
  // Each call without a name creates another context.
  const withName = facts.contexts.filter((context) => context.name !== null);
  const named = groupBy(withName, ({ sessionId, name }) => `${name} of session ${sessionId}`);
  return [
    ...facts.contexts.flatMap((context) => checkContextEnd(facts, context)),
    ...[...named].flatMap(([name, contexts]) => checkTwins(name, contexts)),
    ...facts.history.calls.flatMap((call) => checkContextAnswer(facts, call)),
  ];
}

function checkContextEnd(facts: Facts, context: ContextFacts): Violation[] {
  const { id, user, sessionId, ends } = context;
  const name = `context ${id} of ${user}`;
  const [end] = ends;
  if (ends.length > 1) return [doubled(`${name} has ${ends.length} ends`)];
  const session = facts.sessions.find((each) => each.id === sessionId);
  const [close] = session?.closes ?? [];
  if (!end) return close ? [orphan(`${name} is open, its session is not`)] : [];
  if (isEndCaused(facts, context, end)) return [];
  return [lost(`${name} ended as ${end.reason} without a cause`)];
}

function isEndCaused(
  facts: Facts,
  { id, user, sessionId, workerId, createdAt }: ContextFacts,
  { reason, at }: ContextFacts['ends'][number],
): boolean {
  if (reason === 'deleted')
    return callsWithin(facts, user, ['deleteContext'], [at, at]).some(
      ({ contextId }) => contextId === id,
    );
  if (reason === 'failed') return endOfKernel(facts.history, workerId, [createdAt, at]) !== null;
  const session = facts.sessions.find((each) => each.id === sessionId);
  return session?.closes.some((close) => close.reason === reason) ?? false;
}

/** Checks that each context was created after the previous context of this name had ended. */
function checkTwins(name: string, contexts: readonly ContextFacts[]): Violation[] {
  return contexts.slice(1).flatMap((next, index) => {
    const [end] = contexts[index]?.ends ?? [];
    return end && end.at <= next.createdAt ? [] : [doubled(`two contexts are called ${name}`)];
  });
}

function checkContextAnswer(
  { contexts }: Facts,
  { operation, user, answer }: CallRecord,
): Violation[] {
  if (operation !== 'createContext' || answer === null) return [];
  const created = contexts.find(({ id }) => id === answer.id);
  if (created?.user !== user)
    return [lost(`${user} was told context ${answer.id}, which is not recorded as theirs`)];
  return answer.status === 'READY' ? [] : [lost(`${user} was given a context ${answer.status}`)];
}

/** Whether a context was open during the whole call. If so, NOT_FOUND was a wrong answer. */
function wasOpen(
  facts: Facts,
  contextId: string,
  { user, startedAt, endedAt }: CallRecord,
): boolean {
  const context = facts.contexts.find(({ id }) => id === contextId);
  const [end] = context?.ends ?? [];
  if (!context || context.user !== user || (end && end.at <= endedAt)) return false;
  // A context counts as closed as soon as its deletion is requested.
  return !callsWithin(facts, user, ['deleteContext'], [startedAt, endedAt]).some(
    (call) => call.contextId === contextId,
  );
}
