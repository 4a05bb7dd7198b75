/**
 * Replays the events, transaction by transaction, and checks that no count was raised above its quota, not even by one.
 * Quotas change during a run, and a gateway may apply the former limit until it must know of the change.
 */

import {
  type ReplayedEvent,
  type ReplayedLimit,
  replayQuotas,
} from '../../testkit/replayQuotas.ts';
import type { History } from '../history.ts';
import { MAX_COMMANDS } from '../world/quotas.ts';
import { knownUntil } from './checkOutput.ts';
import { doubled, type Facts, groupBy, ofType, type Violation } from './facts.ts';

export function checkQuotas({ history }: Facts): Violation[] {
  const { exceeded } = replayed(history);
  const whose = (of: ReplayedLimit['userUuid'], tenant: string) => of ?? `tenant ${tenant}`;
  // Only the worst violation of each quota is reported.
  const worst = groupBy(
    exceeded,
    ({ kind, tenant, userUuid }) => `${kind} of ${whose(userUuid, tenant)}`,
  );
  return [...worst].map(([quota, all]) => {
    const found = all.reduce((one, other) => (other.count > one.count ? other : one));
    const { position, count, allowed } = found;
    return doubled(`${quota}: ${count} at event ${position}, and the quota was ${allowed}`);
  });
}

/** How the quotas of a run were kept. */
export function replayed(history: History) {
  const recorded = new Map(history.events.map((event) => [event.position, event]));
  return replayQuotas(eventsOf(history), limitsOf(history), {
    maxCommands: MAX_COMMANDS,
    knownUntil: ({ position }) => new Date(knownUntil(history, recorded.get(position))),
  });
}

/** The quotas of all tenants and users that the events name. */
function limitsOf({ events, quotas }: History): ReplayedLimit[] {
  const sessions = ofType(events, 'SessionOpened').map(({ event }) => event.data);
  const users = new Map(sessions.map((data) => [`${data.tenant} ${data.userUuid}`, data]));
  const tenants = new Set(sessions.map(({ tenant }) => tenant));
  return [
    ...[...tenants].map((tenant): ReplayedLimit => {
      const limit = quotas.openSessionsOfTenant;
      return { kind: 'OPEN_SESSIONS', tenant, userUuid: null, limit };
    }),
    ...[...users.values()].flatMap(({ tenant, userUuid }): ReplayedLimit[] => {
      const of = { tenant, userUuid };
      return [
        { ...of, kind: 'EXECUTIONS_PER_MINUTE', limit: quotas.executionsPerMinuteOfUser },
        { ...of, kind: 'RUNNING_EXECUTIONS', limit: null },
        { ...of, kind: 'QUEUED_EXECUTIONS', limit: null },
      ];
    }),
  ];
}

function eventsOf({ events, transactions }: History): ReplayedEvent[] {
  return events.map(({ position, streamId, event, recordedAt }) => ({
    position,
    transaction: transactions[position] ?? `of ${position}`,
    streamId,
    type: event.type,
    data: { ...event.data },
    recordedAt: new Date(recordedAt),
  }));
}
