/** The replay that checks whether quotas were exceeded finds each count above its limit. */
import { describe, expect, it } from 'vitest';
import {
  type ReplayedEvent,
  type ReplayedLimit,
  replayQuotas,
} from '../../testkit/replayQuotas.ts';

const OWNER = { tenant: 'a', userUuid: 'ann' };
const MAX_COMMANDS = { maxCommands: 2 };
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
const limitOf = (kind: ReplayedLimit['kind'], limit: number | null, of = {}): ReplayedLimit => ({
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
  const { highest: counts, exceeded } = replayQuotas(events, [limit], MAX_COMMANDS);
  expect(exceeded.length > 0).toBe((counts[0] ?? 0) > (limit.limit ?? 0));
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

it('subtracts what a transaction ends from what it adds, but not what the next one ends', () => {
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

describe('a limit that is changed', () => {
  const RUNNING = limitOf('RUNNING_EXECUTIONS', null);
  const set = (limit: number | null, more: Partial<ReplayedEvent> = {}) =>
    event('QuotaSet', 'q', {
      ...more,
      data: { tenant: 'a', userUuid: null, kind: 'RUNNING_EXECUTIONS', limit },
    });
  const inContext = (id: string, more: Partial<ReplayedEvent> = {}) =>
    requested(id, { contextId: id }, more);
  const exceeded = (events: readonly ReplayedEvent[], known?: Date) => {
    const knownUntil = known && (() => known);
    return replayQuotas(events, [RUNNING], { ...MAX_COMMANDS, ...(knownUntil && { knownUntil }) });
  };

  it('holds for what is added after it, and ends nothing', () => {
    const low = [inContext('1'), inContext('2'), set(1)];
    expect(exceeded([...low, requested('3', { contextId: '1' })]).exceeded).toEqual([]);
    expect(exceeded([...low, finished('1'), inContext('3')]).exceeded).toMatchObject([
      { count: 2, allowed: 1 },
    ]);
    const high = [set(1), inContext('1'), set(2), inContext('2'), set(null), inContext('3')];
    expect(exceeded(high).exceeded).toEqual([]);
    expect(exceeded([set(1), inContext('1'), inContext('2')]).exceeded).toHaveLength(1);
  });

  it('is the configured one again after a reset', () => {
    const of = { tenant: 'a', userUuid: null, kind: 'RUNNING_EXECUTIONS' };
    const reset = () => event('QuotaReset', 'q', { data: of });
    expect(exceeded([set(0), reset(), inContext('1')]).exceeded).toEqual([]);
    const limit = limitOf('RUNNING_EXECUTIONS', 1);
    const events = [set(null), inContext('1'), inContext('2'), reset(), inContext('3')];
    const { exceeded: found } = replayQuotas(events, [limit], MAX_COMMANDS);
    expect(found).toMatchObject([{ count: 3, allowed: 1 }]);
  });

  it('may not be known to the gateway yet; then the highest limit that it may know holds', () => {
    const lowered = [set(3), set(2), set(1, { recordedAt: at(5) })];
    const added = [inContext('1'), inContext('2'), inContext('3')].map((each) => ({
      ...each,
      recordedAt: at(10),
    }));
    const late = exceeded([...lowered, ...added], at(4));
    expect(late).toMatchObject({ exceeded: [{ count: 3, allowed: 2 }], added: 3, unsure: 3 });
    const known = exceeded([...lowered, ...added], at(5));
    expect(known.exceeded.map(({ count }) => count)).toEqual([2, 3]);
    expect(known.unsure).toBe(0);
  });

  it('does not apply to what the same transaction adds', () => {
    const together = { transaction: 'one' };
    const swap = [set(0, together), inContext('1', together), inContext('2')];
    expect(exceeded(swap).exceeded).toMatchObject([{ count: 2, allowed: 0 }]);
  });

  it('does not apply to another owner or kind', () => {
    const data = { tenant: 'a', userUuid: 'ann', kind: 'RUNNING_EXECUTIONS', limit: 0 };
    const others = [
      event('QuotaSet', 'q', { data }),
      event('QuotaSet', 'q', { data: { ...data, tenant: 'b', userUuid: null } }),
      event('QuotaSet', 'q', { data: { ...data, kind: 'QUEUED_EXECUTIONS', userUuid: null } }),
    ];
    expect(exceeded([...others, inContext('1')]).exceeded).toEqual([]);
  });
});
