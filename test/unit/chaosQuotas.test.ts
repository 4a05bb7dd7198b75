/** Tests what the checker of chaos runs finds of quotas. */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import { quotasFor } from '../../chaos/world/quotas.ts';
import { soundHistory } from '../support/chaosHistory.ts';

const sound = soundHistory();
const found = (change: Partial<(typeof sound)['quotas']>) =>
  checkHistory({ ...sound, quotas: { ...sound.quotas, ...change } }).map(
    ({ type, what }) => `${type}: ${what}`,
  );
/** How many sessions of the tenant were open at the same time. */
const MOST_SESSIONS = 2;

describe('a quota that was', () => {
  it('kept exactly is nothing to report', () => {
    expect(found({ openSessionsOfTenant: MOST_SESSIONS })).toEqual([]);
  });

  it('exceeded by one session is found', () => {
    const all = found({ openSessionsOfTenant: MOST_SESSIONS - 1 });
    expect(all).toContain('doubled: tenant default has 2 open sessions, beyond its quota');
  });

  it('exceeded by executions in a minute is found', () => {
    expect(found({ executionsPerMinuteOfUser: 1 })).toContainEqual(
      expect.stringMatching(/^doubled: ann has \d+ executions in one minute, beyond the quota$/),
    );
  });
});

it('each tenant may have as many sessions as it has users', () => {
  expect([1, 3, 8].map((users) => quotasFor(users).openSessionsOfTenant)).toEqual([1, 1, 3]);
});
