/** Replays the events, and checks that no quota was exceeded, not even by one. */
import type { RecordedEvent } from '../../src/domain/events.ts';
import { type Facts, ofType } from './facts.ts';
import { groupBy } from './groupBy.ts';
import { doubled, type Violation } from './violation.ts';

const MINUTE_MS = 60_000;

export function checkQuotas({ history }: Facts): Violation[] {
  return [...tooManySessions(history), ...tooManyExecutions(history)];
}

type Played = Pick<Facts['history'], 'events' | 'quotas'>;

function tooManySessions({ events, quotas }: Played): Violation[] {
  const tenantOf = new Map(
    ofType(events, 'SessionOpened').map(({ streamId, event }) => [streamId, event.data.tenant]),
  );
  const open = new Map<string, number>();
  const violations: Violation[] = [];
  // What a group of commits adds and ends happens at once.
  for (const group of groupBy(events, timeOf).values()) {
    for (const { streamId, event } of group) {
      const tenant = tenantOf.get(streamId) ?? '';
      const change = { SessionOpened: 1, SessionClosed: -1 }[event.type as string] ?? 0;
      if (change !== 0) open.set(tenant, (open.get(tenant) ?? 0) + change);
    }
    for (const [tenant, count] of open) {
      if (count > quotas.openSessionsOfTenant)
        violations.push(doubled(`tenant ${tenant} has ${count} open sessions, beyond its quota`));
    }
  }
  return violations;
}

function tooManyExecutions({ events, quotas }: Played): Violation[] {
  const byMinute = groupBy(
    ofType(events, 'ExecutionRequested'),
    (each) => `${each.event.data.userUuid} ${Math.floor(timeOf(each) / MINUTE_MS)}`,
  );
  return [...byMinute.values()]
    .filter(({ length }) => length > quotas.executionsPerMinuteOfUser)
    .map((all) =>
      doubled(
        `${all[0]?.event.data.userUuid} has ${all.length} executions in one minute, beyond the quota`,
      ),
    );
}

/** When it was committed, by the clock of the database, which the quotas go by. */
function timeOf({ recordedAt }: RecordedEvent): number {
  return new Date(recordedAt).getTime();
}
