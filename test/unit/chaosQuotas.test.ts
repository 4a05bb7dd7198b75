/** Tests what the checker of chaos runs finds of quotas. */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import { quotasFor } from '../../chaos/world/quotas.ts';
import { soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();
const allOf = (history: typeof sound) =>
  checkHistory(history).map(({ type, what }) => `${type}: ${what}`);
const found = (change: Partial<(typeof sound)['quotas']>) =>
  allOf({ ...sound, quotas: { ...sound.quotas, ...change } });
/** How many sessions of the tenant were open at the same time. */
const MOST_SESSIONS = 2;

describe('a quota that was', () => {
  it('kept exactly is nothing to report', () => {
    expect(found({ openSessionsOfTenant: MOST_SESSIONS })).toEqual([]);
  });

  it('exceeded by one session is found', () => {
    const all = found({ openSessionsOfTenant: MOST_SESSIONS - 1 });
    expect(all).toContain('doubled: tenant default had 2 OPEN_SESSIONS, and the quota is 1');
  });

  it('kept, because one transaction has closed a session and opened another, is nothing to report', () => {
    const opened = sound.events.findLast(({ event }) => event.type === 'SessionOpened');
    const closed = sound.events.findLast(({ event }) => event.type === 'SessionClosed');
    if (!opened || !closed) throw new Error('The sound history has no such sessions.');
    const others = sound.events.filter((event) => event !== opened);
    const events = others.toSpliced(others.indexOf(closed), 0, opened);
    const quotas = { ...sound.quotas, openSessionsOfTenant: MOST_SESSIONS };
    const shown = expect.stringContaining('3 OPEN_SESSIONS');
    expect(allOf({ ...sound, quotas, events })).toContainEqual(shown);
    const together = { [opened.position]: 'one', [closed.position]: 'one' };
    const transactions = { ...sound.transactions, ...together };
    expect(allOf({ ...sound, quotas, events, transactions })).not.toContainEqual(shown);
  });

  it('exceeded by executions in a minute is found', () => {
    expect(found({ executionsPerMinuteOfUser: 1 })).toContainEqual(
      expect.stringMatching(/^doubled: ann had \d+ EXECUTIONS_PER_MINUTE, and the quota is 1$/),
    );
  });
});

it('each tenant may have as many sessions as it has users', () => {
  expect([1, 3, 8].map((users) => quotasFor(users).openSessionsOfTenant)).toEqual([1, 1, 3]);
});
