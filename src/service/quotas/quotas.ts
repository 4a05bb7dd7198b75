/** The quotas in force. The commit decides, because only there the counts are exact. */
import type { RecordedEvent } from '../../domain/events.ts';
import {
  type CountedKind,
  type Limits,
  QUOTA_KINDS,
  type Quota,
  QuotaError,
  type QuotaKind,
  type QuotaLimits,
  type QuotaScope,
  USAGE_KINDS,
} from '../../domain/quota.ts';
import type { FirstUse } from '../../events/migrations/firstUse.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { Commit } from '../../events/store/eventStore.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';
import { createLimitBook } from './limitBook.ts';
import { createStoredBook } from './storedBook.ts';
import { createUsageBook } from './usageBook.ts';

/** When a caller may try again after something else of the tenant or user has ended. */
const RETRY_AFTER_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface QuotasDeps {
  /** The limits by setting, of each tenant and of each user. */
  readonly defaults: Readonly<Record<QuotaScope, Limits>>;
  /** How many commands of a session run at the same time. */
  readonly maxCommands: number;
  readonly queries: Pick<Queries, 'quotaUse' | 'setQuotas' | 'dayUse' | 'storedUse' | 'storedOf'>;
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
  /** The limit by setting. Null: none. @param userUuid null: of tenants */
  setting(kind: QuotaKind, userUuid: string | null): number | null;
  /** All kinds, with what is used now. @param userUuid null: the tenant, with all of its users */
  views(tenant: string, userUuid: string | null): Promise<readonly QuotaView[]>;
  /**
   * A call that will be refused must not wait for a worker, so it is checked before.
   * @param kinds what the call adds one of
   * @throws QuotaError if there is no room now
   */
  requireRoom(owner: SessionOwner, kinds: readonly CountedKind[]): Promise<void>;
  /**
   * Of what executions have used today, and of what they keep, this gateway knows what it has heard. With a limit of
   * stored bytes, the first calls may have to wait until it has read what is stored.
   * @throws QuotaError if a limit is reached
   */
  requireUsage(owner: SessionOwner): Promise<void>;
}

export function createQuotas({
  defaults,
  maxCommands,
  queries,
  firstUse,
  now,
}: QuotasDeps): Quotas {
  const book = createLimitBook(defaults);
  const usage = createUsageBook();
  const stored = createStoredBook(queries);

  const limited = (tenant: string, userUuid: string) =>
    book.of(tenant, userUuid).filter(({ limits }) => !isEmpty(limits));

  return {
    load: async () => {
      const set = await queries.setQuotas();
      book.put(set);
      usage.put(await queries.dayUse(startOfDay(now())));
      if (limitsStored(defaults, set)) stored.prepare();
      if (Object.values(defaults).every(isEmpty)) return;
      await firstUse.allow('quotas').catch((cause: unknown) => {
        throw new Error(
          'A quota is set (QUOTA_...), and a gateway of the former release, which counts none, still runs. Stop it, or unset the quotas until all gateways are updated.',
          { cause },
        );
      });
    },
    apply: (event) => {
      book.apply(event);
      usage.apply(event);
      stored.apply(event);
      if (event.event.type === 'QuotaSet' && event.event.data.kind === 'STORED_BYTES')
        stored.prepare();
    },
    of: (tenant, userUuid) => {
      const of = limited(tenant, userUuid);
      return of.length === 0 ? {} : { quotas: { of, maxCommands } };
    },
    limit: (kind, tenant, userUuid) => {
      const limits = book.of(tenant, userUuid).flatMap((owner) => owner.limits[kind] ?? []);
      return limits.length === 0 ? null : Math.min(...limits);
    },
    setting: (kind, userUuid) => defaults[userUuid === null ? 'TENANT' : 'USER'][kind] ?? null,
    views: async (tenant, userUuid) => {
      const limits = book.of(tenant, userUuid).at(-1)?.limits ?? {};
      const owner = { tenant, userUuid };
      const counted = await queries.quotaUse(owner, maxCommands);
      const use: Record<QuotaKind, number> = {
        ...counted,
        ...usage.usedBy(owner, now()),
        STORED_BYTES: await stored.usedBy(owner),
      };
      const view = (kind: QuotaKind): QuotaView => {
        return { kind, tenant, userUuid, limit: limits[kind] ?? null, used: use[kind] };
      };
      return QUOTA_KINDS.map(view);
    },
    requireUsage: async ({ tenant, userUuid }) => {
      const at = now();
      for (const owner of limited(tenant, userUuid)) {
        const use = usage.usedBy(owner, at);
        for (const kind of USAGE_KINDS) requireOneMore(kind, owner, use[kind], at);
        if (owner.limits.STORED_BYTES !== undefined)
          requireOneMore('STORED_BYTES', owner, await stored.usedBy(owner), at);
      }
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

function limitsStored(defaults: QuotasDeps['defaults'], set: readonly Quota[]): boolean {
  return (
    Object.values(defaults).some(({ STORED_BYTES }) => STORED_BYTES !== undefined) ||
    set.some(({ kind, maximum }) => kind === 'STORED_BYTES' && maximum !== null)
  );
}

function isEmpty(limits: Limits): boolean {
  return Object.keys(limits).length === 0;
}

/** @throws QuotaError if there is no room for one more */
function requireOneMore(kind: QuotaKind, owner: QuotaLimits, used: number, now: Date): void {
  const limit = owner.limits[kind];
  if (limit === undefined || used < limit) return;
  const until = endOf(kind, now);
  throw new QuotaError({
    kind,
    scope: owner.userUuid === null ? 'TENANT' : 'USER',
    limit,
    used,
    retryAfterMs: kind === 'STORED_BYTES' ? null : retryAfterMs(until, now),
    until: until?.toISOString() ?? null,
  });
}

function retryAfterMs(until: Date | null, now: Date): number {
  return until === null ? RETRY_AFTER_MS : until.getTime() - now.getTime();
}

/** When what is used of this kind is forgotten. Null: when something ends, or is deleted. Days are days in UTC. */
function endOf(kind: QuotaKind, now: Date): Date | null {
  if (kind === 'EXECUTIONS_PER_MINUTE') return nextMultiple(now, MINUTE_MS);
  return USAGE_KINDS.some((usage) => usage === kind) ? nextMultiple(now, DAY_MS) : null;
}

function nextMultiple(now: Date, ms: number): Date {
  return new Date((Math.floor(now.getTime() / ms) + 1) * ms);
}

function startOfDay(now: Date): Date {
  return new Date(nextMultiple(now, DAY_MS).getTime() - DAY_MS);
}
