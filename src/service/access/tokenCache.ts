/**
 * The valid tokens, kept in memory so that a check costs no round trip. Events report the changes of all gateways.
 * `refresh` finds the changes that no event has reported.
 */

import type { Logger } from 'pino';
import { repeat } from '../../async/repeat.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { TokenId } from '../../domain/ids.ts';
import { type Door, evolveToken, type Token, type TokenEvent } from '../../domain/token.ts';
import type { TokenReads } from '../../events/database.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { type ByDoor, byDoor } from '../principal.ts';
import type { Counted } from './refusals.ts';
import { createTokenEnd, type OpenTokenEnd, type TokenEnd } from './tokenEnd.ts';

// The age of a gateway's knowledge about tokens.

/**
 * Knowledge that is older than this is stale: a token may have been revoked meanwhile. A gateway reads changed tokens
 * every {@link POLL_INTERVAL_MS}, so its knowledge becomes stale only while the database is slow or away, or after the
 * process was stopped. STALE_MS, that interval and the time for one piece of a download are less than a second
 * together.
 */
export const STALE_MS = 600;

interface Freshness {
  readonly isFresh: boolean;
  /** Null while the knowledge is fresh. Otherwise a promise that resolves as soon as it is fresh again. */
  wait(): Promise<void> | null;
  /** Records that the knowledge was current at this time of the clock. */
  knownAsOf(at: number): void;
}

/** @param clock in ms. It goes on while the process is stopped. */
function createFreshness(clock: () => number): Freshness {
  let asOf = Number.NEGATIVE_INFINITY;
  /** All waiting callers share it. */
  let waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  const isFresh = () => clock() - asOf < STALE_MS;
  return {
    get isFresh() {
      return isFresh();
    },
    wait: () => {
      if (isFresh()) return null;
      waiting ??= later();
      return waiting.promise;
    },
    knownAsOf: (at) => {
      asOf = at;
      if (!isFresh()) return;
      waiting?.resolve();
      waiting = null;
    },
  };
}

function later() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The holder of a token. */
export interface Holder {
  /** The only wire on which the token is valid. Null: all. */
  readonly door: Door | null;
  readonly by: ByDoor;
}

/** A valid token, from which session keys are derived. */
export interface KnownToken {
  readonly id: string;
  readonly holder: Holder;
  /** SHA-256 (base64) of its secrets that are valid now. The present one comes first. */
  readonly secrets: readonly string[];
  /** Counts the token as used now. */
  readonly use: () => void;
}

export interface TokenCache {
  /** Whether the cache was up to date less than STALE_MS ago. Otherwise ask {@link read}. */
  readonly isFresh: boolean;
  /**
   * The holder of the secret with this SHA-256 (base64). Counts the token as used now. Null: the secret is not valid
   * now, as far as this gateway knows.
   */
  holderOf(secretSha256: string): Holder | null;
  /**
   * Like {@link holderOf}, but first reads the token from the database: another gateway may have changed it a moment
   * ago. Null: the secret is not valid.
   */
  read(secretSha256: string): Promise<Holder | null>;
  /** The token with this id. Null: it is not valid now, as far as this gateway knows. */
  tokenOf(id: string): KnownToken | null;
  /** Like {@link tokenOf}, but first reads the token from the database. */
  readToken(id: TokenId): Promise<KnownToken | null>;
  /** All tokens that are valid now, as far as this gateway knows. */
  known(): Iterable<KnownToken>;
  apply(event: RecordedEvent): void;
  /** Reads all tokens that are neither revoked nor expired. All other tokens in memory end. */
  reload(): Promise<void>;
  /**
   * Ends the tokens that have expired, and reads those that have changed. Reads nothing while no token is in memory.
   * @throws if the database does not answer
   */
  refresh(): Promise<void>;
}

interface Entry {
  token: Token;
  readonly holder: Holder;
  readonly tokenEnd: OpenTokenEnd;
}

interface TokenCacheDeps {
  readonly queries: Pick<Queries, 'validTokens' | 'tokenBySecret' | 'token'>;
  readonly tokenReads: TokenReads;
  readonly uses: Pick<TokenUses, 'use'>;
  readonly now: () => Date;
  /** A clock that only goes forward, in ms. It goes on while the process is stopped. */
  readonly clock: () => number;
}

export function createTokenCache({
  queries,
  tokenReads,
  uses,
  now,
  clock,
}: TokenCacheDeps): TokenCache {
  const freshness = createFreshness(clock);
  const byId = new Map<string, Entry>();
  const byHash = new Map<string, Entry>();
  /** All changes up to this position are known here. Null: the position is unknown. */
  let position: number | null = null;
  /** The tokens that were revoked since the start. A read that was under way may still return them as valid. */
  const revoked = new Set<string>();

  function put(token: Token): void {
    const known = byId.get(token.id);
    if (revoked.has(token.id) || (known && known.token.version >= token.version)) return;
    if (known) dropHashes(known.token);
    if (token.revokedAt !== null) {
      revoked.add(token.id);
      byId.delete(token.id);
      known?.tokenEnd.end();
      return;
    }
    const entry = known ?? newEntry(token, freshness.wait);
    entry.token = token;
    byId.set(token.id, entry);
    for (const hash of hashesOf(token)) byHash.set(hash, entry);
  }

  function dropHashes(token: Token): void {
    for (const hash of hashesOf(token)) byHash.delete(hash);
  }

  function holderOf(secretSha256: string): Holder | null {
    const entry = byHash.get(secretSha256);
    if (!entry || !letsIn(entry.token, secretSha256, now())) return null;
    uses.use(entry.token.id);
    return entry.holder;
  }

  function known({ token, holder }: Entry): KnownToken | null {
    const secrets = hashesOf(token).filter((hash) => letsIn(token, hash, now()));
    const use = () => uses.use(token.id);
    return secrets.length === 0 ? null : { id: token.id, holder, secrets, use };
  }

  function tokenOf(id: string): KnownToken | null {
    const entry = byId.get(id);
    return entry ? known(entry) : null;
  }

  /**
   * @param read must begin its query after this call. A cached token that is missing in the result ends, and an older
   * result could lack a new token
   */
  async function readAll(read: TokenReads['validTokens']): Promise<void> {
    const before = [...byId.values()];
    const found = await read();
    for (const token of found.tokens) put(token);
    position = found.position;
    const valid = new Set<string>(found.tokens.map(({ id }) => id));
    for (const { token } of before)
      if (!valid.has(token.id)) put({ ...token, version: token.version + 1, revokedAt: now() });
  }

  async function readChanged(): Promise<void> {
    const found = position === null ? null : await tokenReads.changedTokens(position);
    if (found === null) return await readAll(tokenReads.validTokens);
    for (const token of found.tokens) put(token);
    position = found.position;
  }

  function endExpired(): void {
    const at = now();
    for (const { token, tokenEnd } of [...byId.values()]) {
      if (!hasExpired(token, at)) continue;
      dropHashes(token);
      byId.delete(token.id);
      tokenEnd.end();
    }
  }

  return {
    get isFresh() {
      return freshness.isFresh;
    },
    holderOf,
    read: async (secretSha256) => {
      const token = await queries.tokenBySecret(secretSha256);
      if (token === null) return null;
      put(token);
      return holderOf(secretSha256);
    },
    tokenOf,
    readToken: async (id) => {
      const token = await queries.token(id);
      if (token === null) return null;
      put(token);
      return tokenOf(id);
    },
    known: () => [...byId.values()].flatMap((entry) => known(entry) ?? []),
    apply: ({ streamKind, streamId, version, event }) => {
      if (streamKind !== 'token') return;
      const token = byId.get(streamId)?.token ?? null;
      if (version === (token?.version ?? 0) + 1) put(evolveToken(token, event as TokenEvent));
    },
    reload: async () => {
      const beganAt = clock();
      await readAll(queries.validTokens);
      freshness.knownAsOf(beganAt);
    },
    refresh: async () => {
      endExpired();
      const beganAt = clock();
      // Without tokens, there is nothing to end. A token that another gateway has created is read at its first use.
      if (byId.size > 0) await readChanged();
      else position = null;
      freshness.knownAsOf(beganAt);
    },
  };
}

/** Whether the session keys that are derived from the token are valid at this door. */
export function givesKeysAt(door: Door, { holder }: KnownToken): boolean {
  // Only the roles that run code get keys (permissions.ts).
  const runsCode = holder.by[door].role !== 'AUDITOR';
  return runsCode && (holder.door === null || holder.door === door);
}

function newEntry(token: Token, fresh: TokenEnd['fresh']): Entry {
  const { id: tokenId, role, tenant, userUuid, userPrefix, door } = token;
  const users = userUuid !== null ? { uuid: userUuid } : { prefix: userPrefix ?? '' };
  const tokenEnd = createTokenEnd(fresh);
  const isForSome = userUuid !== null || userPrefix !== null;
  return {
    token,
    tokenEnd,
    holder: {
      door,
      by: byDoor({ tokenId, role, tenant, tokenEnd, users: isForSome ? users : null }),
    },
  };
}

/** The hashes of the present secret and of the former one, which may still be valid. */
function hashesOf({ secretSha256, formerSha256 }: Token): string[] {
  return formerSha256 === null ? [secretSha256] : [secretSha256, formerSha256];
}

function letsIn(token: Token, secretSha256: string, at: Date): boolean {
  if (hasExpired(token, at)) return false;
  return (
    secretSha256 === token.secretSha256 || (token.formerUntil !== null && at < token.formerUntil)
  );
}

function hasExpired({ expiresAt }: Token, at: Date): boolean {
  return expiresAt !== null && at >= expiresAt;
}

/** How often the uses are recorded. It is also the precision of the recorded time. */
const RECORD_INTERVAL_MS = 60_000;

/** The times at which tokens were last used. A use costs its call only an insertion into a set. */
interface TokenUses extends Counted {
  /** Counts the token as used now. */
  use(tokenId: string): void;
}

export function createTokenUses(
  queries: Pick<Queries, 'recordTokenUses'>,
  now: () => Date,
): TokenUses {
  let used = new Set<string>();
  let nextAt = now().getTime() + RECORD_INTERVAL_MS;

  async function record(): Promise<void> {
    if (used.size === 0) return;
    const ids = [...used];
    used = new Set();
    const minute = Math.floor(now().getTime() / RECORD_INTERVAL_MS) * RECORD_INTERVAL_MS;
    try {
      await queries.recordTokenUses(ids, new Date(minute));
    } catch (error: unknown) {
      for (const id of ids) used.add(id);
      throw error;
    }
  }

  return {
    use: (tokenId) => void used.add(tokenId),
    recordSome: async () => {
      const ms = now().getTime();
      if (ms < nextAt) return;
      nextAt = ms + RECORD_INTERVAL_MS;
      await record();
    },
    close: record,
  };
}

/**
 * How often a gateway checks whether tokens have changed. Because of this interval and STALE_MS, a revoked token ends
 * at every gateway within a second, whatever happens to a gateway's connections.
 */
const POLL_INTERVAL_MS = 250;

/**
 * Keeps the tokens in memory up to date, even while no events arrive. The loop waits for nothing else, so that nothing
 * delays a check. Returns a function that stops it.
 */
export function watchTokens(cache: Pick<TokenCache, 'refresh'>, logger: Logger): () => void {
  const closing = new AbortController();
  const { signal } = closing;
  /** Only the first failure is logged: there may be four a second. */
  let isFailing = false;

  async function poll(): Promise<void> {
    try {
      await cache.refresh();
      if (isFailing) logger.info('Could check again whether tokens have changed');
      isFailing = false;
    } catch (err: unknown) {
      if (!isFailing && !signal.aborted)
        logger.warn({ err }, 'Could not check whether tokens have changed');
      isFailing = true;
    }
  }

  void repeat(POLL_INTERVAL_MS, signal, poll);
  return () => closing.abort();
}
