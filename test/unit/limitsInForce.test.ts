import { expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import { type QuotaEvent, type QuotaKind, quotaIdOf } from '../../src/domain/quota.ts';
import { createLimitsInForce } from '../../src/service/quotas/quotas.ts';

const DEFAULTS = { TENANT: { OPEN_SESSIONS: 5, QUEUED_EXECUTIONS: 9 }, USER: { OPEN_SESSIONS: 1 } };

const OF = { at: '2026-01-31T12:00:00.000Z', tenant: 'a' };

function set(
  version: number,
  limit: number | null,
  userUuid: string | null,
  kind: QuotaKind = 'OPEN_SESSIONS',
) {
  const quotaId = quotaIdOf('a', userUuid, kind);
  return recorded(version, { type: 'QuotaSet', data: { ...OF, quotaId, userUuid, kind, limit } });
}

function reset(version: number, userUuid: string | null, kind: QuotaKind = 'OPEN_SESSIONS') {
  const quotaId = quotaIdOf('a', userUuid, kind);
  return recorded(version, { type: 'QuotaReset', data: { ...OF, quotaId, userUuid, kind } });
}

function recorded(version: number, event: QuotaEvent): RecordedEvent {
  const known: Partial<RecordedEvent> = { streamId: event.data.quotaId, version, event };
  return known as RecordedEvent;
}

it('a limit that is set replaces the setting, only for this tenant or user and this kind', () => {
  const inForce = createLimitsInForce(DEFAULTS);
  const limits = (tenant: string, user: string | null) =>
    inForce.of(tenant, user).map((each) => each.limits);
  expect(limits('a', 'ann')).toEqual([DEFAULTS.TENANT, DEFAULTS.USER]);
  inForce.apply(set(1, 7, null));
  inForce.apply(set(1, null, 'ann'));
  inForce.apply(set(1, 3, 'ann', 'RUNNING_EXECUTIONS'));
  expect(limits('a', null)).toEqual([{ OPEN_SESSIONS: 7, QUEUED_EXECUTIONS: 9 }]);
  expect(limits('a', 'ann')[1]).toEqual({ RUNNING_EXECUTIONS: 3 });
  expect(limits('a', 'bob')[1]).toEqual(DEFAULTS.USER);
  expect(limits('b', 'ann')).toEqual([DEFAULTS.TENANT, DEFAULTS.USER]);
});

it('an event or a row that arrives after a newer one changes nothing', () => {
  const inForce = createLimitsInForce(DEFAULTS);
  inForce.apply(set(3, 30, null));
  inForce.apply(set(2, 20, null));
  const quota = { id: quotaIdOf('a', null, 'OPEN_SESSIONS'), tenant: 'a', userUuid: null } as const;
  inForce.put([
    { ...quota, version: 1, kind: 'OPEN_SESSIONS', maximum: 10, isSet: true, setAt: new Date() },
  ]);
  expect(inForce.of('a', null)[0]?.limits.OPEN_SESSIONS).toBe(30);
});

it('a limit that is reset is as if it had never been set', () => {
  const inForce = createLimitsInForce(DEFAULTS);
  inForce.apply(set(1, 7, null));
  inForce.apply(set(1, 4, null, 'RUNNING_EXECUTIONS'));
  inForce.apply(set(1, null, 'ann'));
  inForce.apply(reset(2, null));
  inForce.apply(reset(2, null, 'RUNNING_EXECUTIONS'));
  inForce.apply(reset(2, 'ann'));
  expect(inForce.of('a', 'ann').map((each) => each.limits)).toEqual([
    DEFAULTS.TENANT,
    DEFAULTS.USER,
  ]);
  inForce.apply(set(3, 8, null));
  expect(inForce.of('a', null)[0]?.limits.OPEN_SESSIONS).toBe(8);
});

it('a limit of a user who was forgotten and came back holds, although versions restart', () => {
  const inForce = createLimitsInForce(DEFAULTS);
  for (const version of [1, 2, 3]) inForce.apply(set(version, version, 'ann'));
  inForce.apply(set(1, 9, 'ann'));
  expect(inForce.of('a', 'ann')[1]?.limits.OPEN_SESSIONS).toBe(9);
  inForce.apply(set(2, 8, 'ann'));
  expect(inForce.of('a', 'ann')[1]?.limits.OPEN_SESSIONS).toBe(8);
});
