/** The quotas in force. The commit decides, because only there the counts are exact. */
import type { RecordedEvent } from '../../domain/events.ts';
import {
  type Limits,
  QUOTA_KINDS,
  QuotaError,
  type QuotaKind,
  type QuotaLimits,
  type QuotaScope,
} from '../../domain/quota.ts';
import type { FirstUse } from '../../events/migrations/firstUse.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { Commit } from '../../events/store/eventStore.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';
import { createLimitBook } from './limitBook.ts';

/** When a caller may try again after something else of the tenant or user has ended. */
const RETRY_AFTER_MS = 1_000;
const MINUTE_MS = 60_000;

export interface QuotasDeps {
  /** The limits by setting, of each tenant and of each user. */
  readonly defaults: Readonly<Record<QuotaScope, Limits>>;
  /** How many commands of a session run at the same time. */
  readonly maxCommands: number;
  readonly queries: Pick<Queries, 'quotaUse' | 'setQuotas'>;
  readonly firstUse: FirstUse;
  readonly now: () => Date;
}

/** One kind of quota of a tenant, or of one of its users. */
export interface QuotaView {
  readonly kind: QuotaKind;
  readonly tenant: string;
  readonly userUuid: string | null;
  /** Null: none. */
  readonly limit: number | null;
  readonly used: number;
}

export interface Quotas {
  /**
   * Must be awaited before the first call.
   * @throws Error with a message for the operator, if a setting limits something and a former gateway would exceed it
   */
  load(): Promise<void>;
  apply(event: RecordedEvent): void;
  /** What a commit must have that opens a session of this user, or requests an execution. Nothing without a limit. */
  of(tenant: string, userUuid: string): Pick<Commit, 'quotas'>;
  /** The lowest limit of this kind for the user. Null: none. @param userUuid null: for the tenant */
  limit(kind: QuotaKind, tenant: string, userUuid: string | null): number | null;
  /** All kinds, with what is used now. @param userUuid null: the tenant, with all of its users */
  views(tenant: string, userUuid: string | null): Promise<readonly QuotaView[]>;
  /**
   * A call that will be refused must not wait for a worker, so it is checked before.
   * @param kinds what the call adds one of
   * @throws QuotaError if there is no room now
   */
  requireRoom(owner: SessionOwner, kinds: readonly QuotaKind[]): Promise<void>;
}

export function createQuotas({
  defaults,
  maxCommands,
  queries,
  firstUse,
  now,
}: QuotasDeps): Quotas {
  const book = createLimitBook(defaults);

  const limited = (tenant: string, userUuid: string) =>
    book.of(tenant, userUuid).filter(({ limits }) => !isEmpty(limits));

  return {
    load: async () => {
      book.put(await queries.setQuotas());
      if (Object.values(defaults).every(isEmpty)) return;
      await firstUse.allow('quotas').catch((cause: unknown) => {
        throw new Error(
          'A quota is set (QUOTA_...), and a gateway of the former release, which counts none, still runs. Stop it, or unset the quotas until all gateways are updated.',
          { cause },
        );
      });
    },
    apply: book.apply,
    of: (tenant, userUuid) => {
      const of = limited(tenant, userUuid);
      return of.length === 0 ? {} : { quotas: { of, maxCommands } };
    },
    limit: (kind, tenant, userUuid) => {
      const limits = book.of(tenant, userUuid).flatMap((owner) => owner.limits[kind] ?? []);
      return limits.length === 0 ? null : Math.min(...limits);
    },
    views: async (tenant, userUuid) => {
      const limits = book.of(tenant, userUuid).at(-1)?.limits ?? {};
      const use = await queries.quotaUse({ tenant, userUuid }, maxCommands);
      const view = (kind: QuotaKind): QuotaView => {
        return { kind, tenant, userUuid, limit: limits[kind] ?? null, used: use[kind] };
      };
      return QUOTA_KINDS.map(view);
    },
    requireRoom: async ({ tenant, userUuid }, kinds) => {
      for (const owner of limited(tenant, userUuid)) {
        const limitedKinds = kinds.filter((kind) => owner.limits[kind] !== undefined);
        if (limitedKinds.length === 0) continue;
        const use = await queries.quotaUse(owner, maxCommands);
        for (const kind of limitedKinds) requireOneMore(kind, owner, use[kind], now());
      }
    },
  };
}

function isEmpty(limits: Limits): boolean {
  return Object.keys(limits).length === 0;
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
