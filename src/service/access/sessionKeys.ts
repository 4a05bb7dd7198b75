/**
 * Keys to single sessions. A key derives from a token, a secret that all gateways share, and the user of the session, so
 * nothing is stored: any gateway knows it, it is the same whenever it is asked for, and it ends with its token.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { sharedRun } from '../../async/sharedRun.ts';
import { parseId, type TokenId } from '../../domain/ids.ts';
import { secretHash } from '../../domain/secretHash.ts';
import type { Door } from '../../domain/token.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { OpenSessions } from '../openSessions.ts';
import { AUTH_TOKEN_BY_DOOR, AUTH_TOKEN_HOLDER, actsFor, type Principal } from '../principal.ts';
import { ended } from './ending.ts';
import { createFindSigner, type Signed } from './findSigner.ts';
import { givesKeysAt, type KnownToken, type TokenBook } from './tokenBook.ts';

/** The name of the secret in the table `secrets`. */
const SECRET_NAME = 'session-keys';
const SECRET_BYTES = 32;
/** How many holders are remembered. Each is some kilobytes, with the service that is bound to it. */
const MAX_HOLDERS = 1_000;

export interface SessionKeys {
  /** Reads the secret, and makes it if this is the first gateway. Must be awaited before the other methods are called. */
  load(): Promise<void>;
  /** The key of this principal to this user's session. */
  keyTo(principal: Principal, userUuid: string): Promise<string>;
  /**
   * Who shows this key at this door. Null: nobody, or the token has ended.
   * @param userOf the user whose session it must be for, to the holder of the token
   */
  holderOf(
    key: string,
    door: Door,
    userOf: (holder: Principal) => string,
  ): Promise<Principal | null>;
  /** Who signed with a key to an open session. Null: nobody whose token is valid. */
  signerOf(door: Door, signed: Signed): Promise<Principal | null>;
}

export interface SessionKeysDeps {
  readonly queries: Pick<Queries, 'sharedSecret'>;
  readonly tokenBook: Pick<TokenBook, 'isFresh' | 'tokenOf' | 'readToken' | 'known' | 'look'>;
  readonly sessions: Pick<OpenSessions, 'all' | 'get' | 'load'>;
  /** AUTH_TOKEN. */
  readonly authToken: () => string;
}

export function createSessionKeys(deps: SessionKeysDeps): SessionKeys {
  const { queries, tokenBook, sessions, authToken } = deps;
  let shared: Buffer | null = null;
  const holders = new Map<string, Principal>();
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
    tokens: () => [ownToken, ...tokenBook.known()],
    catchUp: sharedRun(async () => void (await Promise.all([sessions.load(), tokenBook.look()]))),
  });

  function keyOf({ id, holder }: KnownToken, secretSha256: string, userUuid: string): string {
    if (shared === null) throw new Error('The secret of session keys is not loaded yet.');
    const text = JSON.stringify([id, secretSha256, holder.by.graphql.tenant, userUuid]);
    return `${id}.${createHmac('sha256', shared).update(text).digest('base64url')}`;
  }

  async function tokenOf(id: string): Promise<KnownToken | null> {
    if (id === AUTH_TOKEN_HOLDER.tokenId) return ownToken;
    const known = tokenBook.isFresh ? tokenBook.tokenOf(id) : null;
    if (known !== null) return known;
    const tokenId = parseId<TokenId>(id);
    return tokenId && (await tokenBook.readToken(tokenId));
  }

  /** The holder of a token as the holder of its key to this user's session: one for each, so that it can be a key. */
  function narrowed(holder: Principal, userUuid: string): Principal {
    const name = JSON.stringify([holder.tokenId, holder.door, userUuid]);
    const known = holders.get(name);
    holders.delete(name);
    const [oldest] = holders.keys();
    if (holders.size >= MAX_HOLDERS && oldest !== undefined) holders.delete(oldest);
    const isKnown = known !== undefined && known.ending === holder.ending;
    const own = isKnown ? known : narrow(holder, userUuid);
    // The one that was used last is the last.
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
      if (!token || secret === undefined) throw ended();
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
