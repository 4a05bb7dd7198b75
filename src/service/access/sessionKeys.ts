/**
 * Keys to single sessions. A key is derived from a token, a secret that all gateways share, and the user of the
 * session. No key is stored: every gateway computes the same key. A key ends with its token.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { sharedRun } from '../../async/sharedRun.ts';
import { BoundedMap } from '../../domain/boundedMap.ts';
import { parseId, type TokenId } from '../../domain/ids.ts';
import { type Door, secretHash } from '../../domain/token.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { OpenSessions } from '../openSessions.ts';
import { AUTH_TOKEN_BY_DOOR, AUTH_TOKEN_HOLDER, actsFor, type Principal } from '../principal.ts';
import { givesKeysAt, type KnownToken, type TokenCache } from './tokenCache.ts';
import { tokenEnded } from './tokenEnd.ts';

// Finds the key that made a signature, when the signed request does not name its session.

/** How many valid signatures are remembered. A page may ask for the same files again and again. */
const MAX_REMEMBERED = 1_000;

/** Something that was signed with a key to a session. */
export interface Signed {
  readonly signature: string;
  /** Whether it was signed with this key. */
  readonly isBy: (key: string) => boolean;
  readonly names: SessionNames;
}

/** How a door names the users of its sessions. The names of all users of one token have the same prefix. */
export interface SessionNames {
  readonly prefixOf: (holder: Principal) => string;
  /** The prefix of a user's name, if the name has the form of this door. Otherwise null. */
  readonly prefixIn: (userUuid: string) => string | null;
}

interface Signer {
  readonly token: KnownToken;
  readonly userUuid: string;
}

interface FindSignerDeps {
  readonly keyOf: (token: KnownToken, secretSha256: string, userUuid: string) => string;
  readonly sessions: Pick<OpenSessions, 'all' | 'get'>;
  /** All tokens that are valid now, as far as this gateway knows. */
  readonly tokens: () => readonly KnownToken[];
  /** Resolves when this gateway knows every session and token that existed before the call. */
  readonly catchUp: () => Promise<void>;
}

/**
 * Tries each open session with each token that may have a key to it. The result is null if no key made the signature.
 */
function createFindSigner({ keyOf, sessions, tokens, catchUp }: FindSignerDeps) {
  const lately = new BoundedMap<string, { readonly tokenId: string; readonly userUuid: string }>(
    MAX_REMEMBERED,
  );

  function signs({ token, userUuid }: Signer, { isBy }: Signed): boolean {
    return token.secrets.some((secret) => isBy(keyOf(token, secret, userUuid)));
  }

  function remembered(door: Door, signed: Signed): Signer | null {
    const known = lately.get(signed.signature);
    const token = known && tokens().find(({ id }) => id === known.tokenId);
    if (!known || !token || !givesKeysAt(door, token)) return null;
    const isOpen = sessions.get(token.holder.by[door].tenant, known.userUuid) !== null;
    const signer = { token, userUuid: known.userUuid };
    return isOpen && signs(signer, signed) ? signer : null;
  }

  function search(door: Door, signed: Signed): Signer | null {
    const { prefixOf, prefixIn } = signed.names;
    const byPrefix = new Map<string, KnownToken[]>();
    for (const token of tokens()) {
      if (!givesKeysAt(door, token)) continue;
      const holder = token.holder.by[door];
      const group = groupOf(holder.tenant, prefixOf(holder));
      const same = byPrefix.get(group);
      if (same) same.push(token);
      else byPrefix.set(group, [token]);
    }
    for (const { tenant, userUuid } of sessions.all()) {
      for (const token of byPrefix.get(groupOf(tenant, prefixIn(userUuid))) ?? []) {
        const signer = { token, userUuid };
        if (signs(signer, signed)) return signer;
      }
    }
    return null;
  }

  return async (door: Door, signed: Signed): Promise<Signer | null> => {
    let signer = remembered(door, signed) ?? search(door, signed);
    if (signer === null) {
      // The session of the key may have been opened at another gateway a moment ago.
      await catchUp();
      signer = search(door, signed);
    }
    if (signer !== null)
      lately.set(signed.signature, { tokenId: signer.token.id, userUuid: signer.userUuid });
    return signer;
  };
}

function groupOf(tenant: string, prefix: string | null): string {
  return JSON.stringify([tenant, prefix]);
}

/** The name of the secret in the table `secrets`. */
const SECRET_NAME = 'session-keys';
const SECRET_BYTES = 32;
/** How many holders are remembered. Each takes some kilobytes, with the service that is bound to it. */
const MAX_HOLDERS = 1_000;

export interface SessionKeys {
  /**
   * Reads the secret, or creates it if this is the first gateway. Must be awaited before any other method is called.
   */
  load(): Promise<void>;
  /** The key of this principal to this user's session. */
  keyTo(principal: Principal, userUuid: string): Promise<string>;
  /**
   * The holder of the token that this key was made from. Null: there is none, or the token has ended.
   * @param userOf gives the user whose session the key must be for
   */
  holderOf(
    key: string,
    door: Door,
    userOf: (holder: Principal) => string,
  ): Promise<Principal | null>;
  /** The holder of the token whose key made this signature. Null: no key of a valid token made it. */
  signerOf(door: Door, signed: Signed): Promise<Principal | null>;
}

interface SessionKeysDeps {
  readonly queries: Pick<Queries, 'sharedSecret'>;
  readonly tokenCache: Pick<
    TokenCache,
    'isFresh' | 'tokenOf' | 'readToken' | 'known' | 'refresh' | 'reload'
  >;
  readonly sessions: Pick<OpenSessions, 'all' | 'get' | 'load'>;
  /** The present value of AUTH_TOKEN. */
  readonly authToken: () => string;
}

export function createSessionKeys(deps: SessionKeysDeps): SessionKeys {
  const { queries, tokenCache, sessions, authToken } = deps;
  let shared: Buffer | null = null;
  const holders = new BoundedMap<string, Principal>(MAX_HOLDERS);
  const ownToken: KnownToken = {
    id: AUTH_TOKEN_HOLDER.tokenId,
    holder: { door: null, by: AUTH_TOKEN_BY_DOOR },
    get secrets() {
      return [secretHash(authToken())];
    },
    use: () => {},
  };
  const findSigner = createFindSigner({
    keyOf,
    sessions,
    tokens: () => [ownToken, ...tokenCache.known()],
    catchUp: sharedRun(async () => void (await Promise.all([sessions.load(), readTokens()]))),
  });

  function readTokens(): Promise<void> {
    const [any] = tokenCache.known();
    // While no token is in memory, `refresh` reads nothing.
    return any ? tokenCache.refresh() : tokenCache.reload();
  }

  function keyOf({ id, holder }: KnownToken, secretSha256: string, userUuid: string): string {
    if (shared === null) throw new Error('The secret of session keys is not loaded yet.');
    const text = JSON.stringify([id, secretSha256, holder.by.graphql.tenant, userUuid]);
    return `${id}.${createHmac('sha256', shared).update(text).digest('base64url')}`;
  }

  async function tokenOf(id: string): Promise<KnownToken | null> {
    if (id === AUTH_TOKEN_HOLDER.tokenId) return ownToken;
    const known = tokenCache.isFresh ? tokenCache.tokenOf(id) : null;
    if (known !== null) return known;
    const tokenId = parseId<TokenId>(id);
    return tokenId && (await tokenCache.readToken(tokenId));
  }

  /**
   * The holder of a token, narrowed to the session of one user. Returns the same object each time, because
   * `createService` caches the bound service under it.
   */
  function narrowed(holder: Principal, userUuid: string): Principal {
    const name = JSON.stringify([holder.tokenId, holder.door, userUuid]);
    const known = holders.get(name);
    const isKnown = known !== undefined && known.tokenEnd === holder.tokenEnd;
    const own = isKnown ? known : narrow(holder, userUuid);
    holders.set(name, own);
    return own;
  }

  return {
    load: async () => {
      const proposed = randomBytes(SECRET_BYTES).toString('base64');
      shared = Buffer.from(await queries.sharedSecret(SECRET_NAME, proposed), 'base64');
    },
    keyTo: async ({ tokenId }, userUuid) => {
      const token = await tokenOf(tokenId);
      const [secret] = token?.secrets ?? [];
      if (!token || secret === undefined) throw tokenEnded();
      return keyOf(token, secret, userUuid);
    },
    holderOf: async (key, door, userOf) => {
      const token = await tokenOf(key.split('.', 1)[0] ?? '');
      if (token === null || !givesKeysAt(door, token)) return null;
      const holder = token.holder.by[door];
      const userUuid = userOf(holder);
      if (!actsFor(holder, userUuid)) return null;
      const isRight = token.secrets.some((secret) => isSame(key, keyOf(token, secret, userUuid)));
      if (!isRight) return null;
      token.use();
      return narrowed(holder, userUuid);
    },
    signerOf: async (door, signed) => {
      const signer = await findSigner(door, signed);
      if (signer === null) return null;
      signer.token.use();
      return narrowed(signer.token.holder.by[door], signer.userUuid);
    },
  };
}

function narrow(holder: Principal, userUuid: string): Principal {
  return { ...holder, role: 'USER', users: { uuid: userUuid }, isOfSession: true };
}

/** Only hashes are compared, so that timing reveals nothing about a key. */
function isSame(key: string, right: string): boolean {
  return secretHash(key) === secretHash(right);
}
