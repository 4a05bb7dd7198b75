import { expect, it } from 'vitest';
import type { CountedKind, ExceededQuota, QuotaScope } from '../../src/domain/quota.ts';
import { createRecentRefusals } from '../../src/service/quotas/refusals.ts';

const OWNER = { tenant: 'a', userUuid: null };
const under = (limit?: number) => ({
  ...OWNER,
  limits: limit === undefined ? {} : { EXECUTIONS_PER_MINUTE: limit },
});

function exceeded(kind: CountedKind, scope: QuotaScope = 'TENANT'): ExceededQuota {
  const until = '2026-11-28T00:01:00.000Z';
  return { kind, scope, limit: 5, used: 5, retryAfterMs: 2_000, until };
}

it('calls in a minute that is used up are refused until it ends, counted from the refused call', () => {
  let now = 1_000;
  const refusals = createRecentRefusals(() => now);
  expect(refusals.ofMinute(under(5))).toBeNull();
  now = 1_300;
  refusals.learn({ tenant: 'a', userUuid: 'ann' }, exceeded('EXECUTIONS_PER_MINUTE'), 1_000);
  expect(refusals.ofMinute(under(5))).toMatchObject({ limit: 5, used: 5, retryAfterMs: 1_700 });
  expect(refusals.ofMinute({ ...under(5), userUuid: 'ann' })).toBeNull();
  expect(refusals.isRecent(OWNER)).toBe(false);
  now = 2_999;
  expect(refusals.ofMinute(under(5))).toMatchObject({ retryAfterMs: 1 });
  now = 3_000;
  expect(refusals.ofMinute(under(5))).toBeNull();
});

it('a limit that is raised or taken away lifts the refusal, and a lower one keeps it', () => {
  const refusals = createRecentRefusals(() => 0);
  refusals.learn(OWNER, exceeded('EXECUTIONS_PER_MINUTE'), 0);
  expect(refusals.ofMinute(under(6))).toBeNull();
  expect(refusals.ofMinute(under())).toBeNull();
  expect(refusals.ofMinute(under(4))).toMatchObject({ limit: 4, used: 5 });
});

it('of a refusal for running or queued executions, only its time is remembered, for a second', () => {
  let now = 0;
  const refusals = createRecentRefusals(() => now);
  refusals.learn(OWNER, exceeded('OPEN_SESSIONS'), 0);
  expect(refusals.isRecent(OWNER)).toBe(false);
  for (const kind of ['RUNNING_EXECUTIONS', 'QUEUED_EXECUTIONS'] as const) {
    refusals.learn(OWNER, exceeded(kind), now);
    now += 999;
    expect(refusals.isRecent(OWNER)).toBe(true);
    expect(refusals.ofMinute(under(5))).toBeNull();
    now += 1;
    expect(refusals.isRecent(OWNER)).toBe(false);
  }
});

it('keeps refusals of 10,000 owners', () => {
  const refusals = createRecentRefusals(() => 0);
  const ownerOf = (index: number) => ({ tenant: 'a', userUuid: `user-${index}` });
  for (let index = 0; index <= 10_000; index += 1)
    refusals.learn(ownerOf(index), exceeded('RUNNING_EXECUTIONS', 'USER'), 0);
  expect(refusals.isRecent(ownerOf(0))).toBe(false);
  expect(refusals.isRecent(ownerOf(1))).toBe(true);
  expect(refusals.isRecent(ownerOf(10_000))).toBe(true);
});
