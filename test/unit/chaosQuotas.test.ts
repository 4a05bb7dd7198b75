/** Tests what the checker of chaos runs finds about quotas. */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import type { FaultName, FaultRecord } from '../../chaos/history.ts';
import { quotasHit } from '../../chaos/report.ts';
import { quotasFor } from '../../chaos/world/quotas.ts';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { QuotaId } from '../../src/domain/ids.ts';
import { soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();
const allOf = (history: typeof sound) =>
  checkHistory(history).map(({ type, what }) => `${type}: ${what}`);
const found = (change: Partial<(typeof sound)['quotas']>) =>
  allOf({ ...sound, quotas: { ...sound.quotas, ...change } });
/** How many sessions of the tenant were open at the same time. */
const MOST_SESSIONS = 2;
const HOUR_MS = 3_600_000;

describe('a quota', () => {
  it('is not reported if it was just kept', () => {
    expect(found({ openSessionsOfTenant: MOST_SESSIONS })).toEqual([]);
  });

  it('is reported if it was exceeded by one session', () => {
    const all = found({ openSessionsOfTenant: MOST_SESSIONS - 1 });
    expect(all).toContainEqual(
      expect.stringMatching(
        /^doubled: OPEN_SESSIONS of tenant default: 2 at event \d+, and the quota was 1$/,
      ),
    );
  });

  it('is not reported if it was kept because one transaction closed a session and opened another', () => {
    const opened = sound.events.findLast(
      ({ event }) => event.type === 'SessionOpened' && event.data.tenant === 'default',
    );
    const closed = sound.events.findLast(({ event }) => event.type === 'SessionClosed');
    if (!opened || !closed) throw new Error('The sound history has no such sessions.');
    const others = sound.events.filter((event) => event !== opened);
    const events = others.toSpliced(others.indexOf(closed), 0, opened);
    const quotas = { ...sound.quotas, openSessionsOfTenant: MOST_SESSIONS };
    const shown = expect.stringContaining('OPEN_SESSIONS of tenant default: 3');
    expect(allOf({ ...sound, quotas, events })).toContainEqual(shown);
    const together = { [opened.position]: 'one', [closed.position]: 'one' };
    const transactions = { ...sound.transactions, ...together };
    expect(allOf({ ...sound, quotas, events, transactions })).not.toContainEqual(shown);
  });

  it('is reported if it was exceeded by the executions of a minute', () => {
    expect(found({ executionsPerMinuteOfUser: 1 })).toContainEqual(
      expect.stringMatching(
        /^doubled: EXECUTIONS_PER_MINUTE of ann: \d+ at event \d+, and the quota was 1$/,
      ),
    );
  });
});

describe('a quota that is changed during the run', () => {
  const LATE_MS = 4_000;
  const set = (limit: number | null, recordedAt: Date): RecordedEvent => ({
    ...(sound.events[0] as RecordedEvent),
    position: 0,
    streamKind: 'quota',
    streamId: 'quota',
    recordedAt,
    event: {
      type: 'QuotaSet',
      data: {
        ...{ quotaId: 'quota' as QuotaId, tenant: 'default', userUuid: 'ann' },
        ...{ kind: 'RUNNING_EXECUTIONS', limit, at: recordedAt.toISOString() },
      },
    },
  });
  const first = (sound.events[0] as RecordedEvent).recordedAt.getTime();
  /** The findings about this quota in the sound history, if limits were set this many ms before its first event. */
  const whenSet = (
    limits: readonly (readonly [number | null, number])[],
    faults: FaultRecord[] = [],
  ) =>
    allOf({
      ...sound,
      faults: [...sound.faults, ...faults],
      events: [
        ...limits.map(([limit, beforeMs]) => set(limit, new Date(first - beforeMs))),
        ...sound.events,
      ],
    }).filter((each) => each.includes('RUNNING_EXECUTIONS'));
  const faultOf = (name: FaultName, gateway: number | null): FaultRecord => {
    const [startedAt, healedAt] = [first - 2 * LATE_MS, first + HOUR_MS];
    return { name, startedAt, healedAt, gateway, workerId: null, user: null };
  };

  it('is reported if it is exceeded when every gateway must know of the change', () => {
    expect(whenSet([[0, LATE_MS]])).toEqual([
      expect.stringMatching(
        /^doubled: RUNNING_EXECUTIONS of ann: \d at event \d+, and the quota was 0$/,
      ),
    ]);
    // The former setting, no limit, no longer counts; the limit after it does.
    expect(
      whenSet([
        [null, LATE_MS],
        [0, LATE_MS],
      ]),
    ).toHaveLength(1);
  });

  it('is not reported if it was raised again', () => {
    expect(
      whenSet([
        [0, LATE_MS],
        [null, 1],
      ]),
    ).toEqual([]);
  });

  it('may be exceeded by a gateway that a fault kept from learning of the change, and by no other', () => {
    const lowered = [[0, LATE_MS]] as const;
    expect(whenSet(lowered, [faultOf('gateway: SIGSTOP, SIGCONT', 0)])).toEqual([]);
    expect(whenSet(lowered, [faultOf('PostgreSQL: kill -9', null)])).toEqual([]);
    expect(whenSet(lowered, [faultOf('wire: half open', 0)])).toEqual([]);
    expect(whenSet(lowered, [faultOf('wire: half open', 1)])).toHaveLength(1);
    expect(whenSet(lowered, [faultOf('gateway: kill -9', 0)])).toHaveLength(1);
  });

  it('is counted in the report, so that a run without any change is noticed', () => {
    expect(quotasHit(sound)).toMatch(
      /^0 attempts refused by a quota; 0 changes of quotas; of \d+ /,
    );
    const events = [set(5, new Date(first - 1)), ...sound.events];
    expect(quotasHit({ ...sound, events })).toMatch(
      /; 1 changes of quotas; of \d+ .*, [1-9]\d* came/,
    );
  });
});

it('each tenant may have as many sessions as it has users', () => {
  expect([1, 3, 8].map((users) => quotasFor(users).openSessionsOfTenant)).toEqual([1, 1, 3]);
});
