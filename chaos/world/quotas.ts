/** The quotas of a run. They are tight, so that calls are refused, but nobody is refused for ever. */
import { tenantOf } from '../clients/access.ts';

export interface Quotas {
  /** As many as users: one session more would be one that nobody needs. */
  readonly openSessionsOfTenant: number;
  /** About as many as a user runs, so that a busy minute is too much. */
  readonly executionsPerMinuteOfUser: number;
}

const EXECUTIONS_PER_MINUTE = 30;

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
