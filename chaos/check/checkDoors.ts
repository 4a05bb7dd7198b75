/**
 * Checks that each result that a user of a door was told is of an execution that came by this door, and that the users
 * were told results: those of MCP any, and those of Jupyter, who ask again and again, all. What ran in their kernels, and
 * what their calls were told, is checked as for everybody.
 */
import type { CallRecord } from '../history.ts';
import { type Facts, groupBy, lost, type Violation } from './facts.ts';

/** A client that has asked so long in vain would do so for ever. */
const TELLING_LIMIT_MS = 60_000;

export function checkDoors(facts: Facts): Violation[] {
  const ran = facts.history.calls.filter(({ wire, cell }) => wire !== 'graphql' && cell !== null);
  return [
    ...ran.flatMap((call) => checkWire(facts, call)),
    ...ran.filter(({ wire }) => wire === 'jupyter').flatMap((call) => checkTold(facts, call)),
    ...[...groupBy(ran, ({ wire }) => wire)].flatMap(([wire, calls]) =>
      calls.some(({ answer }) => answer !== null)
        ? []
        : [lost(`the proof: none of ${calls.length} calls over ${wire} was answered`)],
    ),
  ];
}

function checkWire({ executionOf }: Facts, { wire, key, answer }: CallRecord): Violation[] {
  const execution = executionOf.get(answer?.id ?? '');
  return !execution || execution.wire === wire
    ? []
    : [lost(`${key} was called over ${wire}, and is recorded as come by ${execution.wire}`)];
}

function checkTold({ executions }: Facts, { key, answer, refusal, endedAt }: CallRecord) {
  if (answer !== null || refusal !== null) return [];
  const [end] = executions.find((each) => each.key === key)?.ends ?? [];
  return end && end.at + TELLING_LIMIT_MS < endedAt
    ? [lost(`${key} ended as ${end.status}, and its client was not told`)]
    : [];
}
