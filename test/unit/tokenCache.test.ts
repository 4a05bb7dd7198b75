import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { TokenId } from '../../src/domain/ids.ts';
import { evolveToken, type Token, type TokenEvent } from '../../src/domain/token.ts';
import { newId } from '../../src/process/newId.ts';
import {
  createTokenCache,
  STALE_MS,
  type TokenCache,
} from '../../src/service/access/tokenCache.ts';

const T0 = Date.parse('2026-01-02T03:00:00.000Z');
const at = new Date(T0).toISOString();
const HOUR_MS = 3_600_000;
const later = (ms: number) => new Date(T0 + ms);

/** The tokens in the database. */
let stored: Token[];
let now: Date;
/** In ms. */
let clock: number;
/** How often the cache has read all tokens. */
let reads: number;
let isAway: boolean;
/** The ids of tokens, in the order in which they were changed. */
let changes: string[];
/** Whether too much has changed to be searched. */
let isFarBehind: boolean;
const validTokens = async () => {
  reads += 1;
  return { tokens: stored.filter(({ revokedAt }) => revokedAt === null), position: changes.length };
};
/** The tokens that have changed since this number of changes. */
const changedTokens = async (after: number) => {
  if (isAway) throw new Error('The database does not answer.');
  if (isFarBehind) return null;
  const changed = new Set(changes.slice(after));
  return { tokens: stored.filter(({ id }) => changed.has(id)), position: changes.length };
};
let cache: TokenCache;
beforeEach(() => {
  stored = [];
  now = later(0);
  [clock, reads, isAway, isFarBehind] = [0, 0, false, false];
  changes = [];
  cache = createTokenCache({
    now: () => now,
    clock: () => clock,
    uses: { use: () => {} },
    tokenReads: { changedTokens, validTokens },
    queries: {
      validTokens,
      tokenBySecret: async (hash) =>
        stored.find((token) => [token.secretSha256, token.formerSha256].includes(hash)) ?? null,
      token: async (id) => stored.find((token) => token.id === id) ?? null,
    },
  });
});

const creation = (changes: Partial<TokenEvent['data']> = {}): TokenEvent => ({
  type: 'TokenCreated',
  data: {
    ...{ at, tokenId: newId<TokenId>(), name: 'a', role: 'TENANT', tenant: 'blue' },
    ...{ userUuid: null, userPrefix: null, door: null, expiresAt: null, secretSha256: 'first' },
    ...changes,
  },
});
const ROTATION: TokenEvent = {
  type: 'TokenRotated',
  data: { at, secretSha256: 'second', formerUntil: later(HOUR_MS).toISOString() },
};
const REVOCATION: TokenEvent = { type: 'TokenRevoked', data: { at, reason: 'revoked' } };

/** Stores the token of these events. */
function store(...events: TokenEvent[]): Token {
  const token = events.reduce<Token | null>(evolveToken, null) as Token;
  stored = [...stored.filter(({ id }) => id !== token.id), token];
  changes.push(token.id);
  return token;
}

/** Stores the events, and applies the last one to the cache. */
function tell(...events: TokenEvent[]): Token {
  const token = store(...events);
  const { id: streamId, version } = token;
  cache.apply({
    streamKind: 'token',
    streamId,
    version,
    event: events.at(-1),
  } as never as RecordedEvent);
  return token;
}

/** Counts how often the cache reports the end of the token whose secret has this hash. */
function endsOf(hash: string): () => number {
  let ends = 0;
  const off = cache.holderOf(hash)?.by.graphql.tokenEnd.on(() => {
    ends += 1;
  });
  if (off) onTestFinished(off);
  return () => ends;
}

describe("a token in a gateway's cache", () => {
  it('lets its holder in, and says whom it is for', () => {
    const { id: tokenId } = tell(creation({ role: 'USER', userPrefix: 'ann-' }));
    expect(cache.holderOf('first')).toMatchObject({
      by: { files: { tokenId, role: 'USER', tenant: 'blue', users: { prefix: 'ann-' } } },
    });
    expect(cache.holderOf('another')).toBeNull();
  });

  it('lets its holder in with the former secret until that ends, as the same holder', () => {
    const created = creation();
    tell(created);
    const holder = cache.holderOf('first');
    const ends = endsOf('first');
    tell(created, ROTATION);
    expect([cache.holderOf('first'), cache.holderOf('second')]).toEqual([holder, holder]);
    now = later(HOUR_MS);
    expect([cache.holderOf('first'), cache.holderOf('second')]).toEqual([null, holder]);
    expect(ends()).toBe(0);
  });

  it('lets nobody in once it is revoked, and ends what is open, once', () => {
    const created = creation();
    tell(created);
    const ends = endsOf('first');
    tell(created, REVOCATION);
    tell(created, REVOCATION);
    expect(cache.holderOf('first')).toBeNull();
    expect(ends()).toBe(1);
  });

  it('lets nobody in from the moment at which it expires, and ends what is open', async () => {
    tell(creation({ expiresAt: later(HOUR_MS).toISOString() }));
    const ends = endsOf('first');
    now = later(HOUR_MS - 1);
    await cache.refresh();
    expect([cache.holderOf('first') !== null, ends()]).toEqual([true, 0]);
    now = later(HOUR_MS);
    expect(cache.holderOf('first')).toBeNull();
    await cache.refresh();
    expect(ends()).toBe(1);
  });

  it('is read if its event has not arrived', async () => {
    const created = creation();
    store(created);
    expect(cache.holderOf('first')).toBeNull();
    expect(await cache.read('first')).toMatchObject({ by: { files: { tenant: 'blue' } } });
    expect(cache.holderOf('first')).toMatchObject({ by: { graphql: { tenant: 'blue' } } });
    expect(await cache.read('another')).toBeNull();
  });

  it('ends with a reload, if the event of its end has not arrived', async () => {
    const created = creation();
    store(created);
    await cache.reload();
    const ends = endsOf('first');
    store(created, REVOCATION);
    await cache.reload();
    expect([cache.holderOf('first'), ends()]).toEqual([null, 1]);
  });

  it('that came while a reload was reading stays', async () => {
    const reloading = cache.reload();
    tell(creation());
    await reloading;
    expect(cache.holderOf('first')).not.toBeNull();
  });

  it('that was revoked while a reload was reading stays so', async () => {
    const created = creation();
    tell(created);
    const reloading = cache.reload();
    tell(created, REVOCATION);
    await reloading;
    expect(cache.holderOf('first')).toBeNull();
  });

  it('ends with a refresh, if the event of its end has not arrived', async () => {
    const created = creation();
    tell(created);
    const ends = endsOf('first');
    await cache.refresh();
    await cache.refresh();
    expect([reads, ends()]).toEqual([1, 0]);
    store(created, REVOCATION);
    await cache.refresh();
    // Only what has changed was read.
    expect([reads, cache.holderOf('first'), ends()]).toEqual([1, null, 1]);
  });

  it('ends with a refresh that reads all tokens, because too much has changed since the last one', async () => {
    const created = creation();
    tell(created);
    await cache.refresh();
    const ends = endsOf('first');
    store(created, REVOCATION);
    isFarBehind = true;
    await cache.refresh();
    expect([reads, cache.holderOf('first'), ends()]).toEqual([2, null, 1]);
  });

  it('costs no read as long as there are no tokens', async () => {
    isAway = true;
    await cache.refresh();
    expect(cache.isFresh).toBe(true);
  });
});

describe('a cache that is not fresh', () => {
  it('waits for the next look that succeeds, which ends what is open if the token was revoked', async () => {
    const created = creation();
    tell(created);
    await cache.refresh();
    const tokenEnd = cache.holderOf('first')?.by.files.tokenEnd;
    clock = STALE_MS - 1;
    expect([cache.isFresh, tokenEnd?.fresh()]).toEqual([true, null]);
    clock = STALE_MS;
    let isKnown = false;
    const known = tokenEnd?.fresh()?.then(() => {
      isKnown = true;
    });
    expect([cache.isFresh, known === undefined]).toEqual([false, false]);
    isAway = true;
    await expect(cache.refresh()).rejects.toThrow('does not answer');
    expect([isKnown, tokenEnd?.isOver]).toEqual([false, false]);
    [isAway, clock] = [false, 10 * STALE_MS];
    store(created, REVOCATION);
    await cache.refresh();
    await known;
    expect([isKnown, tokenEnd?.isOver, tokenEnd?.fresh()]).toEqual([true, true, null]);
  });

  it('is as old as the beginning of its last refresh', async () => {
    tell(creation());
    const looking = cache.refresh();
    clock = STALE_MS;
    await looking;
    expect(cache.isFresh).toBe(false);
  });
});
