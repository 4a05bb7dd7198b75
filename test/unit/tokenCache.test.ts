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

/** What the database has. */
let stored: Token[];
let now: Date;
/** In ms. */
let clock: number;
/** How often the book has read all tokens. */
let reads: number;
let isAway: boolean;
/** The ids of tokens, in the order in which they were changed. */
let changes: string[];
/** Whether too much has happened to search it. */
let isFarBehind: boolean;
const validTokens = async () => {
  reads += 1;
  return { tokens: stored.filter(({ revokedAt }) => revokedAt === null), position: changes.length };
};
/** What was changed after so many changes. */
const changedTokens = async (after: number) => {
  if (isAway) throw new Error('The database does not answer.');
  if (isFarBehind) return null;
  const changed = new Set(changes.slice(after));
  return { tokens: stored.filter(({ id }) => changed.has(id)), position: changes.length };
};
let book: TokenCache;
beforeEach(() => {
  stored = [];
  now = later(0);
  [clock, reads, isAway, isFarBehind] = [0, 0, false, false];
  changes = [];
  book = createTokenCache({
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

/** Stores them, and tells the book of the last. */
function tell(...events: TokenEvent[]): Token {
  const token = store(...events);
  const { id: streamId, version } = token;
  book.apply({
    streamKind: 'token',
    streamId,
    version,
    event: events.at(-1),
  } as never as RecordedEvent);
  return token;
}

/** How often the end of what the holder of `hash` has open was told. */
function endsOf(hash: string): () => number {
  let ends = 0;
  const off = book.holderOf(hash)?.by.graphql.tokenEnd.on(() => {
    ends += 1;
  });
  if (off) onTestFinished(off);
  return () => ends;
}

describe('a token in the book of a gateway', () => {
  it('lets its holder in, and says whom it is for', () => {
    const { id: tokenId } = tell(creation({ role: 'USER', userPrefix: 'ann-' }));
    expect(book.holderOf('first')).toMatchObject({
      by: { files: { tokenId, role: 'USER', tenant: 'blue', users: { prefix: 'ann-' } } },
    });
    expect(book.holderOf('another')).toBeNull();
  });

  it('lets its holder in with the former secret until that ends, as the same holder', () => {
    const created = creation();
    tell(created);
    const holder = book.holderOf('first');
    const ends = endsOf('first');
    tell(created, ROTATION);
    expect([book.holderOf('first'), book.holderOf('second')]).toEqual([holder, holder]);
    now = later(HOUR_MS);
    expect([book.holderOf('first'), book.holderOf('second')]).toEqual([null, holder]);
    expect(ends()).toBe(0);
  });

  it('lets nobody in once it is revoked, and ends what is open, once', () => {
    const created = creation();
    tell(created);
    const ends = endsOf('first');
    tell(created, REVOCATION);
    tell(created, REVOCATION);
    expect(book.holderOf('first')).toBeNull();
    expect(ends()).toBe(1);
  });

  it('lets nobody in from the moment at which it expires, and ends what is open', async () => {
    tell(creation({ expiresAt: later(HOUR_MS).toISOString() }));
    const ends = endsOf('first');
    now = later(HOUR_MS - 1);
    await book.refresh();
    expect([book.holderOf('first') !== null, ends()]).toEqual([true, 0]);
    now = later(HOUR_MS);
    expect(book.holderOf('first')).toBeNull();
    await book.refresh();
    expect(ends()).toBe(1);
  });

  it('is read when nobody has told of it', async () => {
    const created = creation();
    store(created);
    expect(book.holderOf('first')).toBeNull();
    expect(await book.read('first')).toMatchObject({ by: { files: { tenant: 'blue' } } });
    expect(book.holderOf('first')).toMatchObject({ by: { graphql: { tenant: 'blue' } } });
    expect(await book.read('another')).toBeNull();
  });

  it('ends by a reload, if nobody has told of its end', async () => {
    const created = creation();
    store(created);
    await book.reload();
    const ends = endsOf('first');
    store(created, REVOCATION);
    await book.reload();
    expect([book.holderOf('first'), ends()]).toEqual([null, 1]);
  });

  it('that came while a reload was reading stays', async () => {
    const reloading = book.reload();
    tell(creation());
    await reloading;
    expect(book.holderOf('first')).not.toBeNull();
  });

  it('that was revoked while a reload was reading stays so', async () => {
    const created = creation();
    tell(created);
    const reloading = book.reload();
    tell(created, REVOCATION);
    await reloading;
    expect(book.holderOf('first')).toBeNull();
  });

  it('ends by a look, if nobody has told of its end', async () => {
    const created = creation();
    tell(created);
    const ends = endsOf('first');
    await book.refresh();
    await book.refresh();
    expect([reads, ends()]).toEqual([1, 0]);
    store(created, REVOCATION);
    await book.refresh();
    // Only what has changed was read.
    expect([reads, book.holderOf('first'), ends()]).toEqual([1, null, 1]);
  });

  it('ends by a look that reads all, because too much has happened since the last', async () => {
    const created = creation();
    tell(created);
    await book.refresh();
    const ends = endsOf('first');
    store(created, REVOCATION);
    isFarBehind = true;
    await book.refresh();
    expect([reads, book.holderOf('first'), ends()]).toEqual([2, null, 1]);
  });

  it('costs no read as long as there is none', async () => {
    isAway = true;
    await book.refresh();
    expect(book.isFresh).toBe(true);
  });
});

describe('what the book does not know for sure', () => {
  it('waits for the next look that succeeds, and ends by it if the token was revoked', async () => {
    const created = creation();
    tell(created);
    await book.refresh();
    const tokenEnd = book.holderOf('first')?.by.files.tokenEnd;
    clock = STALE_MS - 1;
    expect([book.isFresh, tokenEnd?.fresh()]).toEqual([true, null]);
    clock = STALE_MS;
    let isKnown = false;
    const known = tokenEnd?.fresh()?.then(() => {
      isKnown = true;
    });
    expect([book.isFresh, known === undefined]).toEqual([false, false]);
    isAway = true;
    await expect(book.refresh()).rejects.toThrow('does not answer');
    expect([isKnown, tokenEnd?.isOver]).toEqual([false, false]);
    [isAway, clock] = [false, 10 * STALE_MS];
    store(created, REVOCATION);
    await book.refresh();
    await known;
    expect([isKnown, tokenEnd?.isOver, tokenEnd?.fresh()]).toEqual([true, true, null]);
  });

  it('is as old as the beginning of the look', async () => {
    tell(creation());
    const looking = book.refresh();
    clock = STALE_MS;
    await looking;
    expect(book.isFresh).toBe(false);
  });
});
