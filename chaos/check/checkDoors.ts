/**
 * Checks that each result that a user of a door was told is of an execution that came by this door, and that the users
 * were told any. What ran in their kernels, and what their calls were told, is checked like that of everybody.
 */
import type { CallRecord } from '../history.ts';
import type { Facts } from './facts.ts';
import { groupBy } from './groupBy.ts';
import { lost, type Violation } from './violation.ts';

export function checkDoors(facts: Facts): Violation[] {
  const ran = facts.history.calls.filter(({ wire, cell }) => wire !== 'graphql' && cell !== null);
  return [
    ...ran.flatMap((call) => checkWire(facts, call)),
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
