/**
 * Checks that contexts are created once, end once and with a cause, and end with their session. `checkCounters.ts` checks
 * what ran in each, and `checkCauses.ts` whether each loss of its variables was told.
 */
import type { CallRecord } from '../history.ts';
import { endOfKernel } from './causes.ts';
import {
  type ContextFacts,
  callsWithin,
  doubled,
  type Facts,
  groupBy,
  lost,
  orphan,
  type Violation,
} from './facts.ts';

export function checkContexts(facts: Facts): Violation[] {
  // Without a name, each call makes another one.
  const withName = facts.contexts.filter((context) => context.name !== null);
  const named = groupBy(withName, ({ sessionId, name }) => `${name} of session ${sessionId}`);
  return [
    ...facts.contexts.flatMap((context) => checkEnd(facts, context)),
    ...[...named].flatMap(([name, contexts]) => checkTwins(name, contexts)),
    ...facts.history.calls.flatMap((call) => checkAnswer(facts, call)),
  ];
}

function checkEnd(facts: Facts, context: ContextFacts): Violation[] {
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

/** Of the contexts with one name, each was created after the end of the one before. */
function checkTwins(name: string, contexts: readonly ContextFacts[]): Violation[] {
  return contexts.slice(1).flatMap((next, index) => {
    const [end] = contexts[index]?.ends ?? [];
    return end && end.at <= next.createdAt ? [] : [doubled(`two contexts are called ${name}`)];
  });
}

function checkAnswer({ contexts }: Facts, { operation, user, answer }: CallRecord): Violation[] {
  if (operation !== 'createContext' || answer === null) return [];
  const created = contexts.find(({ id }) => id === answer.id);
  if (created?.user !== user)
    return [lost(`${user} was told context ${answer.id}, which is not recorded as theirs`)];
  return answer.status === 'READY' ? [] : [lost(`${user} was given a context ${answer.status}`)];
}
