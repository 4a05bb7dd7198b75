/** Checks where users were let in, and by what: their tokens, their doors, and the environments of their sessions. */
import type { CallRecord, History } from '../history.ts';
import { type Facts, groupBy, lost, type Violation } from './facts.ts';

// Checks that no gateway let in the holder of a token that was revoked a second before, and that they were asked.

/** Of so many tries, faults may have kept all from an answer. */
const MAX_UNANSWERED = 6;

export function checkAccess({ tokenTries }: History): Violation[] {
  const letIn = tokenTries
    .filter(({ outcome }) => outcome === 'let in')
    .map(({ user, gateway, revokedAt, triedAt }) =>
      lost(
        `the end of a token of ${user}: gateway ${gateway} let its holder in ${triedAt - revokedAt} ms later`,
      ),
    );
  const isProved = tokenTries.some(({ outcome }) => outcome === 'refused');
  return isProved || tokenTries.length <= MAX_UNANSWERED
    ? letIn
    : [
        ...letIn,
        lost(`the proof: none of ${tokenTries.length} tries of a revoked token was refused`),
      ];
}

// Checks that each result that a user of a door was told is of an execution that came by this door, and that the users
// were told results: those of MCP any, and those of Jupyter, who ask again and again, all. What ran in their kernels, and
// what their calls were told, is checked as for everybody.

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

// Checks that each session has a worker of the environment in which it was opened, and no other.

export function checkEnvironments({ events }: History): Violation[] {
  const names = new Map<string, string>();
  const ofWorkers = new Map<string, string | null>();
  const violations: Violation[] = [];
  for (const { event } of events) {
    if (event.type === 'EnvironmentRequested') names.set(event.data.environmentId, event.data.name);
    if (event.type === 'WorkerRequested')
      ofWorkers.set(event.data.workerId, names.get(event.data.environmentId ?? '') ?? null);
    if (event.type !== 'SessionOpened') continue;
    const asked = event.data.options?.environment ?? null;
    const given = ofWorkers.get(event.data.workerId);
    if (given !== asked)
      violations.push(lost(`${event.data.userUuid} asked for ${asked} and got ${given}`));
  }
  return violations;
}
