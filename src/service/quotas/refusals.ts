/** Refusals by quotas: the error for the caller, and which refusals are remembered. */
import { BoundedMap } from '../../domain/boundedMap.ts';
import { RETRY_AFTER_MS } from '../../domain/errors.ts';
import {
  type ExceededQuota,
  QuotaError,
  type QuotaKind,
  type QuotaLimits,
  type QuotaOwner,
  quotaOwnerKey,
  USAGE_KINDS,
} from '../../domain/quota.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** @throws QuotaError if there is no room for one more */
export function requireOneMore(kind: QuotaKind, owner: QuotaLimits, used: number, now: Date): void {
  const refusal = quotaRefusal(kind, owner, used, now);
  if (refusal !== null) throw refusal;
}

/** Null: there is room for one more. */
export function quotaRefusal(
  kind: QuotaKind,
  owner: QuotaLimits,
  used: number,
  now: Date,
): QuotaError | null {
  const limit = owner.limits[kind];
  if (limit === undefined || used < limit) return null;
  const until = endOf(kind, now);
  return new QuotaError({
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

/**
 * When the use of this kind starts again from zero. Null: it falls only when something ends or is deleted. Days are in
 * UTC.
 */
function endOf(kind: QuotaKind, now: Date): Date | null {
  if (kind === 'EXECUTIONS_PER_MINUTE') return nextMultiple(now, MINUTE_MS);
  return USAGE_KINDS.some((usage) => usage === kind) ? nextMultiple(now, DAY_MS) : null;
}

function nextMultiple(now: Date, ms: number): Date {
  return new Date((Math.floor(now.getTime() / ms) + 1) * ms);
}

/**
 * A limit of running or queued executions has room again when one of them ends, or a queued one begins. For this long
 * after a refusal, calls of its owner ask the database before they commit.
 */
const RECENT_MS = 1_000;
/** How many owners are remembered. For any other owner, only the commit itself can refuse. */
const MAX_KEPT = 10_000;

/**
 * The quotas that recently refused a commit, kept in memory. A client at its limit often tries again at once. Each
 * refused commit writes rows that are rolled back, and commits sent with it are sent again in parts. So a refused
 * commit slows down all other commits of this gateway.
 */
interface RecentRefusals {
  /**
   * @param user whose call was refused, because of the user's own quota or the tenant's
   * @param askedAt when the call asked the database, by the monotonic clock
   */
  learn(user: QuotaOwner, exceeded: ExceededQuota, askedAt: number): void;
  /**
   * The quota that refuses any further execution until the minute ends. Null: none is known. Within a minute, the count
   * only grows, so a refusal holds unless the limit was raised since.
   */
  ofMinute(owner: QuotaLimits): ExceededQuota | null;
  /** Whether a limit of running or queued executions of this owner was reached a moment ago. */
  isRecent(owner: QuotaOwner): boolean;
}

interface Kept {
  readonly minute: { readonly exceeded: ExceededQuota; readonly endsAt: number } | null;
  readonly recentUntil: number;
}

const NOTHING: Kept = { minute: null, recentUntil: 0 };

/** @param clock the monotonic clock, in milliseconds */
export function createRecentRefusals(clock: () => number): RecentRefusals {
  const kept = new BoundedMap<string, Kept>(MAX_KEPT);

  function put(owner: QuotaOwner, change: Partial<Kept>): void {
    const key = quotaOwnerKey(owner);
    kept.set(key, { ...(kept.get(key) ?? NOTHING), ...change });
  }

  return {
    learn: ({ tenant, userUuid }, exceeded, askedAt) => {
      const { kind, scope, retryAfterMs } = exceeded;
      const owner = { tenant, userUuid: scope === 'USER' ? userUuid : null };
      if (kind === 'EXECUTIONS_PER_MINUTE') {
        put(owner, { minute: { exceeded, endsAt: askedAt + (retryAfterMs ?? 0) } });
      } else if (kind === 'RUNNING_EXECUTIONS' || kind === 'QUEUED_EXECUTIONS') {
        put(owner, { recentUntil: clock() + RECENT_MS });
      }
    },
    ofMinute: (owner) => {
      if (kept.size === 0) return null;
      const { minute } = kept.get(quotaOwnerKey(owner)) ?? NOTHING;
      const limit = owner.limits.EXECUTIONS_PER_MINUTE;
      if (minute === null || limit === undefined || limit > minute.exceeded.limit) return null;
      const retryAfterMs = Math.ceil(minute.endsAt - clock());
      return retryAfterMs <= 0 ? null : { ...minute.exceeded, limit, retryAfterMs };
    },
    isRecent: (owner) => (kept.get(quotaOwnerKey(owner)) ?? NOTHING).recentUntil > clock(),
  };
}
