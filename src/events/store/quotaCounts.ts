import { type CountedKind, type QuotaOwner, quotaOwnerKey } from '../../domain/quota.ts';

/** How many counts are kept. If a count is missing, the owner is counted anew. */
const MAX_KEPT = 10_000;

/** The owner and the kind of a count. */
export interface QuotaOf extends QuotaOwner {
  readonly kind: CountedKind;
}

/** The parameters of `cellhouse_commit` for quotas: two nulls if there are none. */
export type QuotaRows = readonly [string, number] | readonly [null, null];

/** What `cellhouse_commit` has counted. */
export interface QuotaCount extends QuotaOf {
  readonly count: number;
}

/**
 * The last counts, each with the position at which it was taken. An event raises a count by at most one, whichever
 * gateway recorded it. So if n are left up to the limit, the limit holds for the next n events, and nothing has to be
 * counted until then.
 */
export interface QuotaCounts {
  /** The last position up to which the limit certainly holds. 0 if that is not known. */
  until(of: QuotaOf, limit: number): number;
  /** @param position of the last event that was counted */
  learn(counts: readonly QuotaCount[], position: number): void;
}

export function createQuotaCounts(): QuotaCounts {
  const kept = new Map<string, { readonly count: number; readonly position: number }>();
  return {
    until: (of, limit) => {
      const known = kept.get(keyOf(of));
      return known ? known.position + limit - known.count : 0;
    },
    learn: (counts, position) => {
      for (const { count, ...of } of counts) {
        const key = keyOf(of);
        // Deleted first, so that the oldest counts come first in the map.
        kept.delete(key);
        kept.set(key, { count, position });
      }
      for (const key of kept.keys()) {
        if (kept.size <= MAX_KEPT) break;
        kept.delete(key);
      }
    },
  };
}

function keyOf(of: QuotaOf): string {
  return `${of.kind} ${quotaOwnerKey(of)}`;
}
