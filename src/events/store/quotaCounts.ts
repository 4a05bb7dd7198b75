import { type CountedKind, type QuotaOwner, quotaOwnerKey } from '../../domain/quota.ts';
import type { CommitQuotas } from './eventStore.ts';

/** Counts of so many owners are kept. Without its count, an owner is counted anew. */
const MAX_KEPT = 10_000;

/** Of whom and what. */
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
 * What was counted last, and when. An event raises a count by one at most. So until as many events have followed as are
 * left to the limit, whoever recorded them, it cannot have been reached, and nothing need be counted.
 */
export interface QuotaCounts {
  /** The last position at which the limit holds whatever has happened. 0: that is not known. */
  until(of: QuotaOf, limit: number): number;
  /** @param position of the last event that was counted */
  learn(counts: readonly QuotaCount[], position: number): void;
  /**
   * What `make` gives, which depends on the counts, these quotas and `key` alone. It is remembered until something is
   * learned, which is seldom while no limit is near.
   */
  remembered(quotas: CommitQuotas, key: string, make: () => QuotaRows): QuotaRows;
}

export function createQuotaCounts(): QuotaCounts {
  const kept = new Map<string, { readonly count: number; readonly position: number }>();
  let made = new WeakMap<CommitQuotas, { readonly key: string; readonly rows: QuotaRows }>();
  return {
    until: (of, limit) => {
      const known = kept.get(keyOf(of));
      return known ? known.position + limit - known.count : 0;
    },
    remembered: (quotas, key, make) => {
      const known = made.get(quotas);
      if (known?.key === key) return known.rows;
      const rows = make();
      made.set(quotas, { key, rows });
      return rows;
    },
    learn: (counts, position) => {
      made = new WeakMap();
      for (const { count, ...of } of counts) {
        const key = keyOf(of);
        // The oldest are the first.
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
