/** Checks the tokens of users, the doors through which users call, and the environments of their sessions. */
import type { CallRecord, History } from '../history.ts';
import { type Facts, groupBy, lost, type Violation } from './facts.ts';

// Checks that no gateway accepted a token a second after it was revoked, and that at least one gateway refused one.

/** If there were no more tries than this, faults may have left all of them without an answer. */
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

// Checks the users of doors. Each answer must be about an execution requested over the same door. Each door must have
// answered at least one call. The Jupyter door must have reported every end, because its client asks again and again.
// The checks of answers and kernels apply to these users as to all others.

/** A client that has no answer this long after the end of its execution would never get one. */
const TELLING_LIMIT_MS = 60_000;

export function checkDoors(facts: Facts): Violation[] {
  const ran = facts.history.calls.filter(({ wire, cell }) => wire !== 'graphql' && cell !== null);
  return [
    ...ran.flatMap((call) => checkWire(facts, call)),
    ...ran.filter(({ wire }) => wire === 'jupyter').flatMap((call) => checkReported(facts, call)),
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

function checkReported({ executions }: Facts, { key, answer, refusal, endedAt }: CallRecord) {
  if (answer !== null || refusal !== null) return [];
  const [end] = executions.find((each) => each.key === key)?.ends ?? [];
  return end && end.at + TELLING_LIMIT_MS < endedAt
    ? [lost(`${key} ended as ${end.status}, and its client was not told`)]
    : [];
}

// Checks that each session got a worker of the environment that it asked for.

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
