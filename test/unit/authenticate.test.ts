import { expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { secretHash } from '../../src/domain/token.ts';
import { createAuthenticate } from '../../src/server/http/authenticate.ts';
import { createFailedLogins } from '../../src/server/http/failedLogins.ts';
import { AUTH_TOKEN_BY_DOOR } from '../../src/service/principal.ts';

const PER_MINUTE = 5;
const RIGHT = `ch_${'a'.repeat(43)}`;
const WRONG = `ch_${'b'.repeat(43)}`;

/** No token is in the cache, as after a start, so each token is looked up in the database. A look-up calls `read`. */
function begin(read: () => Promise<void> = async () => {}) {
  const authenticate = createAuthenticate({
    token: 'of-the-operator',
    tokenCache: {
      isFresh: true,
      holderOf: () => null,
      read: async (hash) => {
        await read();
        return hash === secretHash(RIGHT) ? { door: null, by: AUTH_TOKEN_BY_DOOR } : null;
      },
    },
    failedLogins: createFailedLogins(PER_MINUTE, () => 0),
    refusals: { add: () => {} },
  });
  return async (secret: string) => {
    const who = await authenticate({ secret, isInUrl: false }, { door: 'graphql', address: 'a' });
    return 'status' in who ? who.status : 200;
  };
}

it('a client that begins with many calls at once is let in with all of them', async () => {
  const call = begin();
  const calls = Array.from({ length: 10 * PER_MINUTE }, () => call(RIGHT));
  expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
});

it('an address that has guessed too often is refused, and a failed look-up does not count as a guess', async () => {
  let isAway = true;
  const call = begin(async () => {
    if (isAway) throw new DomainError('DATABASE_UNAVAILABLE', 'The database is away.');
  });
  for (let time = 0; time < 2 * PER_MINUTE; time += 1) expect(await call(WRONG)).toBe(503);
  isAway = false;
  for (let time = 0; time < PER_MINUTE; time += 1) expect(await call(WRONG)).toBe(401);
  expect([await call(WRONG), await call(RIGHT)]).toEqual([429, 429]);
});
