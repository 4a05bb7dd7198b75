/** Whether a quota has room for one more, and what a refused caller is told. */
import { RETRY_AFTER_MS } from '../../domain/errors.ts';
import { QuotaError, type QuotaKind, type QuotaLimits, USAGE_KINDS } from '../../domain/quota.ts';

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
