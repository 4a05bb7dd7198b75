/** The check of the acceptance test of quotas finds what it looks for. */
import { expect, it } from 'vitest';
import {
  type ReplayedEvent,
  type ReplayedLimit,
  replayQuotas,
} from '../../testkit/replayQuotas.ts';

const OWNER = { tenant: 'a', userUuid: 'ann' };
const at = (ms: number) => new Date(Date.UTC(2026, 0, 31, 12, 0, 0, ms));

let position = 0;
const event = (
  type: string,
  streamId: string,
  more: Partial<ReplayedEvent> = {},
): ReplayedEvent => {
  position += 1;
  const data = { ...OWNER, sessionId: 's', ...more.data };
  return {
    position,
    transaction: String(position),
    streamId,
    type,
    recordedAt: at(0),
    ...more,
    data,
  };
};
const limitOf = (kind: ReplayedLimit['kind'], limit: number, of = {}): ReplayedLimit => ({
  ...{ kind, tenant: 'a', userUuid: null, limit },
  ...of,
});

const requested = (
  id: string,
  data: Record<string, unknown> = {},
  more: Partial<ReplayedEvent> = {},
) => event('ExecutionRequested', id, { ...more, data });
const finished = (id: string, more: Partial<ReplayedEvent> = {}) =>
  event('ExecutionFinished', id, more);

const highest = (events: readonly ReplayedEvent[], limit: ReplayedLimit) => {
  const { highest: counts, exceeded } = replayQuotas(events, [limit], 2);
  expect(exceeded.length > 0).toBe((counts[0] ?? 0) > limit.limit);
  return counts[0];
};

it('counts open sessions', () => {
  const events = [
    event('SessionOpened', '1'),
    event('SessionOpened', '2'),
    event('SessionClosed', '1'),
    event('SessionOpened', '3'),
  ];
  expect(highest(events, limitOf('OPEN_SESSIONS', 2))).toBe(2);
  expect(highest(events, limitOf('OPEN_SESSIONS', 1))).toBe(2);
  expect(highest(events, limitOf('OPEN_SESSIONS', 1, { tenant: 'b' }))).toBe(0);
});

it('counts what runs and what waits in each lane', () => {
  const events = [
    requested('1'),
    requested('2'),
    requested('3', { contextId: 'c' }),
    requested('4', { language: 'BASH' }),
    requested('5', { language: 'BASH' }),
    requested('6', { language: 'BASH' }),
    requested('7', { sessionId: 'other', userUuid: 'bob' }),
  ];
  expect(highest(events, limitOf('RUNNING_EXECUTIONS', 9))).toBe(5);
  expect(highest(events, limitOf('QUEUED_EXECUTIONS', 1))).toBe(2);
  expect(highest(events, limitOf('RUNNING_EXECUTIONS', 9, { userUuid: 'bob' }))).toBe(1);
});

it('takes what a transaction ends from what it adds, and not what the next one ends', () => {
  const together = { transaction: 'one' };
  const swap = [
    requested('1'),
    requested('2', { contextId: 'c' }, together),
    finished('1', together),
  ];
  expect(highest(swap, limitOf('RUNNING_EXECUTIONS', 1))).toBe(1);
  const apart = [requested('1'), requested('2', { contextId: 'c' }), finished('1')];
  expect(highest(apart, limitOf('RUNNING_EXECUTIONS', 1))).toBe(2);
});

it('counts each minute by itself', () => {
  const events = [requested('1'), requested('2'), requested('3', {}, { recordedAt: at(60_000) })];
  expect(highest(events, limitOf('EXECUTIONS_PER_MINUTE', 1))).toBe(2);
});
