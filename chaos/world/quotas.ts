/** The quotas of a run. They are so tight that calls are refused, but each call succeeds in the end. */

import { type QuotaChoice, tenantOf, userName } from '../clients/operator.ts';
import type { Quotas } from '../history.ts';

const EXECUTIONS_PER_MINUTE = 30;
/** How many commands of a session run at the same time. */
export const MAX_COMMANDS = 16;

/** @param users how many there are */
export function quotasFor(users: number): Quotas {
  const counts = new Map<string, number>();
  for (let index = 0; index < users; index += 1) {
    const tenant = tenantOf(index);
    counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
  }
  return {
    openSessionsOfTenant: Math.max(...counts.values()),
    executionsPerMinuteOfUser: EXECUTIONS_PER_MINUTE,
  };
}

/** The limits that users' quotas may get: none is so low that nothing could run. */
const USER_LIMITS = [
  ['EXECUTIONS_PER_MINUTE', [5, 12, 20, 60, null]],
  ['RUNNING_EXECUTIONS', [1, 2]],
  ['QUEUED_EXECUTIONS', [0, 1, 2]],
] as const;

/** The quotas that are changed during the run. @param users how many there are */
export function quotaChoices(
  users: number,
  { openSessionsOfTenant: usual }: Quotas,
): QuotaChoice[] {
  const tenants = Array.from({ length: users }, (_, index) => tenantOf(index));
  return [
    ...[...new Set(tenants)].map((tenant): QuotaChoice => {
      const quota = { kind: 'OPEN_SESSIONS', tenant, userUuid: null } as const;
      return { quota, limits: [Math.max(1, usual - 1), usual + 1, null] };
    }),
    ...tenants.flatMap((tenant, index) =>
      USER_LIMITS.map(([kind, limits]): QuotaChoice => {
        return { quota: { kind, tenant, userUuid: userName(index) }, limits };
      }),
    ),
  ];
}
