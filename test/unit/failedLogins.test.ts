import { beforeEach, describe, expect, it } from 'vitest';
import { createFailedLogins, type FailedLogins } from '../../src/server/http/failedLogins.ts';

const PER_MINUTE = 30;
const EACH_MS = 60_000 / PER_MINUTE;

let now: number;
let logins: FailedLogins;
beforeEach(() => {
  now = 0;
  logins = createFailedLogins(PER_MINUTE, () => now);
});

function fail(address: string, times: number): void {
  for (let time = 0; time < times; time += 1) logins.failed(address);
}

describe('an address that sends wrong tokens', () => {
  it('may send so many at once, and then one whenever its time has passed', () => {
    fail('a', PER_MINUTE - 1);
    expect(logins.waitMs('a', 'x')).toBeNull();
    fail('a', 1);
    expect([logins.waitMs('a', 'x'), logins.limited]).toEqual([EACH_MS, 1]);
    now += EACH_MS / 2;
    expect(logins.waitMs('a', 'x')).toBe(EACH_MS / 2);
    now += EACH_MS / 2;
    expect([logins.waitMs('a', 'x'), logins.limited]).toEqual([null, 0]);
    fail('a', 1);
    expect(logins.waitMs('a', 'x')).toBe(EACH_MS);
    // It never has more attempts than at first.
    now += 100 * 60_000;
    fail('a', PER_MINUTE);
    expect(logins.waitMs('a', 'x')).toBe(EACH_MS);
    expect(logins.count).toBe(2 * PER_MINUTE + 1);
  });

  it('costs no other address anything, nor a neighbour whose token was right before', () => {
    logins.succeeded('a', 'neighbour');
    fail('a', PER_MINUTE);
    expect(logins.waitMs('b', 'x')).toBeNull();
    expect(logins.waitMs('a', 'neighbour')).toBeNull();
    // A right token that nobody has used from there must wait: else a guess could be tried.
    expect(logins.waitMs('a', 'right')).toBe(EACH_MS);
  });

  it('remembers only the newest tokens', () => {
    for (let token = 0; token < 9; token += 1) logins.succeeded('a', `token-${token}`);
    fail('a', PER_MINUTE);
    expect(logins.waitMs('a', 'token-0')).toBe(EACH_MS);
    expect(logins.waitMs('a', 'token-8')).toBeNull();
  });

  it('takes a bounded place, however many addresses there are', () => {
    for (let address = 0; address < 1_000_000; address += 1) logins.failed(String(address));
    expect(logins.size).toBeGreaterThan(32_000);
    expect(logins.size).toBeLessThanOrEqual(65_536);
    expect(logins.count).toBe(1_000_000);
  });
});
