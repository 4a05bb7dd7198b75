/**
 * The quotas that recently refused a commit, kept in memory. A client at its limit often tries again at once. Each
 * refused commit writes rows that are rolled back, and its group is sent again in parts. So a refused commit slows down
 * all other commits of this gateway.
 */
import { BoundedMap } from '../../domain/boundedMap.ts';
import {
  type ExceededQuota,
  type QuotaLimits,
  type QuotaOwner,
  quotaOwnerKey,
} from '../../domain/quota.ts';

/**
 * A limit of running or queued executions has room again when one of them ends. For this long after a refusal, a call
 * asks for room before it commits.
 */
const RECENT_MS = 1_000;
/** How many owners are remembered. A call of any other owner is refused by its commit. */
const MAX_KEPT = 10_000;

export interface RecentRefusals {
  /**
   * @param user whose call was refused, because of the user's own quota or the tenant's
   * @param askedAt when the call asked the database, by the monotonic clock
   */
  learn(user: QuotaOwner, exceeded: ExceededQuota, askedAt: number): void;
  /**
   * The quota that refuses any further execution until the minute ends. Null: none is known. Within a minute, the count
   * only grows, so a refusal holds for each limit that is not higher than the one that was reached.
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
