/** Replays the events, and checks that no quota was exceeded, not even by one. */
import { type ReplayedLimit, replayQuotas } from '../../testkit/replayQuotas.ts';
import type { History } from '../history.ts';
import { type Facts, ofType } from './facts.ts';
import { doubled, type Violation } from './violation.ts';

/** No quota of a run is about commands. */
const MAX_COMMANDS = 1;

export function checkQuotas({ history }: Facts): Violation[] {
  const limits = limitsOf(history);
  const { highest } = replayQuotas(replayed(history), limits, MAX_COMMANDS);
  return limits.flatMap(({ kind, tenant, userUuid, limit }, index) => {
    const count = highest[index] ?? 0;
    const whose = userUuid === null ? `tenant ${tenant}` : userUuid;
    return count > limit ? doubled(`${whose} had ${count} ${kind}, and the quota is ${limit}`) : [];
  });
}

/** The quotas of all whom the events name. */
function limitsOf({ events, quotas }: History): ReplayedLimit[] {
  const sessions = ofType(events, 'SessionOpened').map(({ event }) => event.data);
  const users = new Map(sessions.map((data) => [`${data.tenant} ${data.userUuid}`, data]));
  const tenants = new Set(sessions.map(({ tenant }) => tenant));
  return [
    ...[...tenants].map((tenant): ReplayedLimit => {
      const limit = quotas.openSessionsOfTenant;
      return { kind: 'OPEN_SESSIONS', tenant, userUuid: null, limit };
    }),
    ...[...users.values()].map(({ tenant, userUuid }): ReplayedLimit => {
      const limit = quotas.executionsPerMinuteOfUser;
      return { kind: 'EXECUTIONS_PER_MINUTE', tenant, userUuid, limit };
    }),
  ];
}

function replayed({ events, transactions }: History) {
  return events.map(({ position, streamId, event, recordedAt }) => ({
    position,
    transaction: transactions[position] ?? `of ${position}`,
    streamId,
    type: event.type,
    data: { ...event.data },
    recordedAt: new Date(recordedAt),
  }));
}
