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

/** Sends this many wrong tokens. */
function fail(address: string, times: number): void {
  for (let time = 0; time < times; time += 1) {
    expect(logins.attempt(address, `wrong-${time}`)).toBeNull();
    logins.failed(address, `wrong-${time}`);
  }
}

/** How long a token must wait. If it need not wait, the attempt succeeds, so that it is not charged. */
function waitMs(address: string, hash = 'x'): number | null {
  const wait = logins.attempt(address, hash);
  if (wait === null) logins.succeeded(address, hash);
  return wait;
}

/** Sends wrong tokens until one must wait, and returns how many were allowed. */
function guesses(address: string): number {
  let sent = 0;
  for (; logins.attempt(address, `guess-${sent}`) === null; sent += 1)
    logins.failed(address, `guess-${sent}`);
  return sent;
}

describe('an address that sends wrong tokens', () => {
  it('may send the tokens of a minute at once, and then one at a time at the same rate', () => {
    fail('a', PER_MINUTE);
    expect([waitMs('a'), logins.limited]).toEqual([EACH_MS, 1]);
    now += EACH_MS / 2;
    expect(waitMs('a')).toBe(EACH_MS / 2);
    now += EACH_MS / 2;
    expect(logins.limited).toBe(0);
    fail('a', 1);
    expect(waitMs('a')).toBe(EACH_MS);
    // However long an address waits, it never has more attempts than at first.
    now += 100 * 60_000;
    fail('a', PER_MINUTE);
    expect(waitMs('a')).toBe(EACH_MS);
    expect(logins.count).toBe(2 * PER_MINUTE + 1);
  });

  it('gains nothing by sending many at the same time', () => {
    const waits = Array.from({ length: 2 * PER_MINUTE }, (_, n) =>
      logins.attempt('a', `guess-${n}`),
    );
    expect(waits.filter((wait) => wait === null)).toHaveLength(PER_MINUTE);
  });

  it('may send one token many times at the same time, which is one guess', () => {
    const waits = Array.from({ length: 50 }, () => logins.attempt('a', 'mine'));
    expect(new Set(waits)).toEqual(new Set([null]));
    for (const _ of waits) logins.succeeded('a', 'mine');
    expect(guesses('a')).toBe(PER_MINUTE);
  });

  it('is charged once for each hundred times that it sends a wrong token at the same time', () => {
    for (let time = 0; time < 1_000; time += 1) logins.attempt('a', 'wrong');
    for (let time = 0; time < 1_000; time += 1) logins.failed('a', 'wrong');
    expect(logins.count).toBe(1_000);
    expect(guesses('a')).toBe(PER_MINUTE - 10);
    // Each lookup that begins after the first has ended is another attempt.
    expect(waitMs('a', 'wrong')).toBe(EACH_MS);
  });

  it('is charged for each attempt if lookups are costly, as those of signatures are', () => {
    logins = createFailedLogins(PER_MINUTE, () => now, { maxTogether: 1 });
    const waits = Array.from({ length: 2 * PER_MINUTE }, () => logins.attempt('a', 'wrong'));
    expect(waits.filter((wait) => wait === null)).toHaveLength(PER_MINUTE);
  });

  it('is not charged for a token that could not be looked up', () => {
    for (let time = 0; time < 10 * PER_MINUTE; time += 1) {
      expect(logins.attempt('a', 'mine')).toBeNull();
      logins.undecided('a', 'mine');
    }
    // The same holds for simultaneous attempts with one token, and they give no charged attempt back.
    fail('a', 10);
    for (let time = 0; time < 5; time += 1) logins.attempt('a', 'mine');
    for (let time = 0; time < 5; time += 1) logins.undecided('a', 'mine');
    expect(guesses('a')).toBe(PER_MINUTE - 10);
  });

  it.each([100, 1])(
    'is not charged for a right token, when %i lookups count as one attempt',
    (each) => {
      logins = createFailedLogins(PER_MINUTE, () => now, { maxTogether: each });
      for (let time = 0; time < 10 * each; time += 1)
        expect(logins.attempt('a', 'mine')).toBeNull();
      for (let time = 0; time < 10 * each; time += 1) logins.succeeded('a', 'mine');
      expect(guesses('a')).toBe(PER_MINUTE);
    },
  );

  it('is not charged for right tokens, however many there are', () => {
    for (let token = 0; token < 10 * PER_MINUTE; token += 1)
      expect(waitMs('a', `right-${token}`)).toBeNull();
    expect([logins.limited, logins.count]).toEqual([0, 0]);
  });

  it('waits no longer after an hour of wrong tokens than after a minute', () => {
    for (let time = 0; time < 36_000; time += 1) {
      if (logins.attempt('a', 'wrong') === null) logins.failed('a', 'wrong');
      now += 100;
    }
    expect(waitMs('a') ?? 0).toBeLessThanOrEqual(EACH_MS);
  });

  it('gets no exception for a token that was right before, and is revoked', () => {
    expect(waitMs('a', 'mine')).toBeNull();
    // The first failure shows that the token was revoked.
    expect(logins.attempt('a', 'mine')).toBeNull();
    logins.failed('a', 'mine');
    for (let time = 1; time < PER_MINUTE; time += 1) {
      expect(logins.attempt('a', 'mine')).toBeNull();
      logins.failed('a', 'mine');
    }
    expect(logins.attempt('a', 'mine')).toBe(EACH_MS);
  });

  it('delays no other address, and no user of the same address whose token was right before', () => {
    expect(waitMs('a', 'neighbour')).toBeNull();
    fail('a', PER_MINUTE);
    expect(waitMs('b')).toBeNull();
    expect(waitMs('a', 'neighbour')).toBeNull();
    // A right token that was never used from this address must wait. Otherwise guesses could go on.
    expect(waitMs('a', 'right')).toBe(EACH_MS);
  });

  it('may go on with the eight right tokens that were used last', () => {
    for (let token = 0; token < 8; token += 1) waitMs('a', `token-${token}`);
    waitMs('a', 'token-0');
    waitMs('a', 'token-8');
    fail('a', PER_MINUTE);
    expect(['token-0', 'token-1', 'token-8'].map((token) => waitMs('a', token))).toEqual([
      null,
      EACH_MS,
      null,
    ]);
  });

  it('takes a bounded place, however many addresses there are', () => {
    for (let address = 0; address < 200_000; address += 1) {
      logins.attempt(String(address), 'x');
      logins.failed(String(address), 'x');
    }
    expect(logins.size).toBeGreaterThan(32_000);
    expect(logins.size).toBeLessThanOrEqual(65_536);
    expect(logins.count).toBe(200_000);
  });
});
