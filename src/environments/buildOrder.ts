import { backOffMs } from '../async/backOffMs.ts';
import type { Environment } from '../domain/environment.ts';
import type { EnvironmentId } from '../domain/ids.ts';

const RETRY = { firstMs: 5_000, maxMs: 300_000 };

/**
 * Decides which build begins next. A version whose attempt failed is passed over for a while, so that others are built.
 */
export interface BuildOrder {
  /** The first of the waiting versions that is not passed over. Null: there is none. */
  next(waiting: readonly Environment[]): Environment | null;
  failed(id: EnvironmentId): void;
}

/** @param nowMs a monotonic clock */
export function createBuildOrder(nowMs: () => number): BuildOrder {
  let failures = new Map<EnvironmentId, { readonly count: number; readonly dueAtMs: number }>();
  return {
    next: (waiting) => {
      const ids = new Set(waiting.map(({ id }) => id));
      failures = new Map([...failures].filter(([id]) => ids.has(id)));
      return waiting.find(({ id }) => (failures.get(id)?.dueAtMs ?? 0) <= nowMs()) ?? null;
    },
    failed: (id) => {
      const count = failures.get(id)?.count ?? 0;
      failures.set(id, { count: count + 1, dueAtMs: nowMs() + backOffMs(RETRY, count) });
    },
  };
}
