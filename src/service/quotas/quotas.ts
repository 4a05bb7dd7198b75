/** The quotas in force. The commit decides, because only there the counts are exact. */
import {
  type Limits,
  QuotaError,
  type QuotaKind,
  type QuotaLimits,
  type QuotaScope,
} from '../../domain/quota.ts';
import type { FirstUse } from '../../events/migrations/firstUse.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { Commit } from '../../events/store/eventStore.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';

/** When a caller may try again after something else of the tenant or user has ended. */
const RETRY_AFTER_MS = 1_000;
const MINUTE_MS = 60_000;

export interface QuotasDeps {
  /** The limits by setting, of each tenant and of each user. */
  readonly defaults: Readonly<Record<QuotaScope, Limits>>;
  /** How many commands of a session run at the same time. */
  readonly maxCommands: number;
  readonly queries: Pick<Queries, 'quotaUse'>;
  readonly firstUse: FirstUse;
  readonly now: () => Date;
}

export interface Quotas {
  /**
   * Must be awaited before the first call.
   * @throws Error with a message for the operator, if a setting limits something and a former gateway would exceed it
   */
  load(): Promise<void>;
  /** What a commit must have that opens a session of this user, or requests an execution. Nothing without a limit. */
  of(tenant: string, userUuid: string): Pick<Commit, 'quotas'>;
  /**
   * A call that will be refused must not wait for a worker, so it is checked before.
   * @param kinds what the call adds one of
   * @throws QuotaError if there is no room now
   */
  requireRoom(owner: SessionOwner, kinds: readonly QuotaKind[]): Promise<void>;
}

export function createQuotas(deps: QuotasDeps): Quotas {
  const { defaults, maxCommands, queries, firstUse } = deps;

  function limitsOf(tenant: string, userUuid: string): QuotaLimits[] {
    const both: QuotaLimits[] = [
      { tenant, userUuid: null, limits: defaults.TENANT },
      { tenant, userUuid, limits: defaults.USER },
    ];
    return both.filter(({ limits }) => Object.keys(limits).length > 0);
  }

  return {
    load: async () => {
      if (Object.values(defaults).every((limits) => Object.keys(limits).length === 0)) return;
      await firstUse.allow('quotas').catch((cause: unknown) => {
        throw new Error(
          'A quota is set (QUOTA_...), and a gateway of the former release, which counts none, still runs. Stop it, or unset the quotas until all gateways are updated.',
          { cause },
        );
      });
    },
    of: (tenant, userUuid) => {
      const of = limitsOf(tenant, userUuid);
      return of.length === 0 ? {} : { quotas: { of, maxCommands } };
    },
    requireRoom: async ({ tenant, userUuid }, kinds) => {
      for (const owner of limitsOf(tenant, userUuid)) {
        const limited = kinds.filter((kind) => owner.limits[kind] !== undefined);
        if (limited.length === 0) continue;
        const use = await queries.quotaUse(owner, maxCommands);
        for (const kind of limited) requireOneMore(kind, owner, use[kind], deps.now());
      }
    },
  };
}

/** @throws QuotaError if there is no room for one more */
function requireOneMore(kind: QuotaKind, owner: QuotaLimits, used: number, now: Date): void {
  const limit = owner.limits[kind];
  if (limit === undefined || used < limit) return;
  const until = kind === 'EXECUTIONS_PER_MINUTE' ? endOfMinute(now) : null;
  throw new QuotaError({
    kind,
    scope: owner.userUuid === null ? 'TENANT' : 'USER',
    limit,
    used,
    retryAfterMs: until === null ? RETRY_AFTER_MS : until.getTime() - now.getTime(),
    until: until?.toISOString() ?? null,
  });
}

/** When the minute of the clock ends that `now` is in. */
function endOfMinute(now: Date): Date {
  return new Date((Math.floor(now.getTime() / MINUTE_MS) + 1) * MINUTE_MS);
}
