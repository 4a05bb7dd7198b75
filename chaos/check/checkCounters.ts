/**
 * Checks what ran in each life of a kernel. Each run prints its place in the kernel's list of keys, and the previous
 * key. This shows whether anything ran twice, without a record, or out of the order in which it was accepted.
 */

import {
  doubled,
  type ExecutionFacts,
  type Facts,
  groupBy,
  lost,
  type Violation,
} from './facts.ts';

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

/** Something else ran in between: a recorded execution ran again, or one ran that is not recorded. */
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
