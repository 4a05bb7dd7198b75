/** Identifies the caller by the token, key or signature that it shows. */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import { networksOf } from '../../config/networks.ts';
import { DomainError } from '../../domain/errors.ts';
import { type Door, SERVED_DOORS, secretHash } from '../../domain/token.ts';
import type { KeyShown } from '../../doors/openDoor.ts';
import type { Refusals } from '../../service/access/refusals.ts';
import type { SessionKeys } from '../../service/access/sessionKeys.ts';
import type { Holder, TokenCache } from '../../service/access/tokenCache.ts';
import { AUTH_TOKEN_BY_DOOR, AUTH_TOKEN_HOLDER, type Principal } from '../../service/principal.ts';
import { type Refusal, refusalOf } from '../../service/refusal.ts';
import type { FailedLogins } from './failedLogins.ts';

// Finds the address of the client that sent a request. Failed authentications are counted by this address.

/**
 * Returns the address that a request comes from. Of an IPv6 address, it is only the network (see {@link networkOf}).
 */
export type AddressOf = (req: Pick<IncomingMessage, 'socket' | 'headers'>) => string;

/**
 * A client can write anything into `X-Forwarded-For`, but it cannot change what a proxy appends. So if the peer is a
 * trusted proxy, the address is the last entry that is not a trusted proxy. Otherwise it is the peer's address.
 * @param trustedProxies addresses, or networks such as `10.0.0.0/8`
 */
export function createAddressOf(trustedProxies: readonly string[]): AddressOf {
  const trusted = networksOf(trustedProxies);
  const isTrusted = (address: string) =>
    isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  return ({ socket, headers }) => {
    const peer = plain(socket.remoteAddress ?? '');
    if (trustedProxies.length === 0 || !isTrusted(peer)) return networkOf(peer);
    const passed = String(headers['x-forwarded-for'] ?? '').split(',');
    const client = passed
      .map((entry) => plain(entry.trim()))
      .findLast((address) => !isTrusted(address));
    // Some proxies append something other than an address. All clients of such a proxy count as one.
    return networkOf(client === undefined || isIP(client) === 0 ? peer : client);
  };
}

/** A socket for both families shows the IPv4 address `1.2.3.4` as `::ffff:1.2.3.4`. This removes the prefix. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** One machine can have all addresses of its IPv6 network of 64 bits, so they count as one. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':');
    while (groups.length + last.length < 8) groups.push('0');
    groups.push(...last);
  }
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/** The token that a caller shows, right or wrong. */
export interface Given {
  readonly secret: string;
  /** Whether the token is in the URL, which proxies and browser histories keep. */
  readonly isInUrl: boolean;
}

type Names = Readonly<Record<string, unknown>>;

/** The token in headers or `connectionParams`. `X-Auth-Token` takes precedence over `Authorization`. */
export function tokenIn(names: Names): Given | null {
  const secret = textOf(names, 'x-auth-token') ?? bearerIn(textOf(names, 'authorization'));
  return secret === null ? null : { secret, isInUrl: false };
}

/** @param wanted in lower case */
export function textOf(names: Names, wanted: string): string | null {
  // Node's headers are already in lower case. `connectionParams` are as the client wrote them.
  const direct = names[wanted];
  if (typeof direct === 'string') return direct;
  for (const [name, value] of Object.entries(names))
    if (typeof value === 'string' && name.toLowerCase() === wanted) return value;
  return null;
}

function bearerIn(value: string | null): string | null {
  return /^Bearer +(.+)$/i.exec(value ?? '')?.[1]?.trim() ?? null;
}

/** The form of our secrets (`src/process/dataDir.ts`). Only texts of this form are looked up in the database. */
const SECRET_SHAPE = /^(?:ch_[A-Za-z0-9_-]{43}|e2b_[0-9a-f]{40})$/;

/** The door that a call uses, and the address that it comes from. */
interface CallOrigin {
  readonly door: Door;
  readonly address: string;
}

/** Resolves with the holder of the token, or with the refusal of the call. `given` is null if the call has no token. */
export type Authenticate = (
  given: Given | null,
  origin: CallOrigin,
) => Promise<Principal | Refusal>;

/** Like {@link Authenticate}, for a key to one session, or for a signature that was made with such a key. */
export type AuthenticateKey = (shown: KeyShown, origin: CallOrigin) => Promise<Principal | Refusal>;

interface AuthenticateDeps {
  /** AUTH_TOKEN. */
  readonly token: string;
  readonly tokenCache: Pick<TokenCache, 'isFresh' | 'holderOf' | 'read'>;
  readonly failedLogins: FailedLogins;
  readonly refusals: Pick<Refusals, 'add'>;
}

/** Only hashes are compared, so that timing reveals nothing about a secret. */
export function createAuthenticate(deps: AuthenticateDeps): Authenticate {
  const { tokenCache, refusals } = deps;
  const ownHash = secretHash(deps.token);
  const own: Holder = { door: null, by: AUTH_TOKEN_BY_DOOR };

  async function holderOf(given: string, hash: string): Promise<Holder | null> {
    if (hash === ownHash) return own;
    const known = tokenCache.isFresh ? tokenCache.holderOf(hash) : null;
    return known ?? (SECRET_SHAPE.test(given) ? await tokenCache.read(hash) : null);
  }

  return async (given, { door, address }) => {
    if (given === null || given.secret === '') return missing(door);
    const hash = secretHash(given.secret);
    const holder = await attempt(deps, { address, hash }, () => holderOf(given.secret, hash));
    if ('status' in holder) return holder;
    const principal = holder.by[door];
    const refusal = notHere(holder, door, given);
    if (refusal === null) return principal;
    refusals.add(principal.tokenId, 'authenticate', 'FORBIDDEN');
    return refusal;
  };
}

interface AuthenticateKeyDeps extends Pick<AuthenticateDeps, 'refusals'> {
  /** Counts wrong keys. A caller has many more keys than tokens: one for each of its sessions. */
  readonly failedKeys: FailedLogins;
  /** Counts wrong signatures, apart from tokens and keys: a page may send many expired signatures at once. */
  readonly failedSignatures: FailedLogins;
  readonly sessionKeys: Pick<SessionKeys, 'holderOf' | 'signerOf'>;
}

export function createAuthenticateKey(deps: AuthenticateKeyDeps): AuthenticateKey {
  const { sessionKeys, refusals, failedKeys, failedSignatures } = deps;
  return async (shown, { door, address }) => {
    if (shown.type === 'key') {
      const { key, userOf, where } = shown;
      if (key === null || key === '') return without(`A token of the session is needed, ${where}.`);
      const tried = { address, hash: secretHash(key) };
      const lookUp = () => sessionKeys.holderOf(key, door, userOf);
      return await attempt({ refusals, failedLogins: failedKeys }, tried, lookUp);
    }
    const tried = { address, hash: secretHash(shown.signature) };
    const lookUp = () => sessionKeys.signerOf(door, shown);
    return await attempt({ refusals, failedLogins: failedSignatures }, tried, lookUp);
  };
}

/** Looks up the holder of a secret, unless the address has sent too many wrong secrets. */
async function attempt<Found extends object>(
  { failedLogins, refusals }: Pick<AuthenticateDeps, 'failedLogins' | 'refusals'>,
  { address, hash }: { readonly address: string; readonly hash: string },
  lookUp: () => Promise<Found | null>,
): Promise<Found | Refusal> {
  const refused = (refusal: Refusal): Refusal => {
    refusals.add(null, 'authenticate', 'UNAUTHENTICATED');
    return refusal;
  };
  // This comes before the lookup, so that a guess beyond the limit is not tried at all.
  const waitMs = failedLogins.attempt(address, hash);
  if (waitMs !== null) return refused(tooMany(waitMs));
  let found: Found | null;
  try {
    found = await lookUp();
  } catch (error: unknown) {
    failedLogins.undecided(address, hash);
    return unavailable(error);
  }
  if (found === null) {
    failedLogins.failed(address, hash);
    return refused(WRONG);
  }
  failedLogins.succeeded(address, hash);
  return found;
}

export function isRefusal(who: Principal | Refusal): who is Refusal {
  return 'status' in who;
}

const UNAUTHENTICATED = {
  status: 401,
  code: 'UNAUTHENTICATED',
  headers: { 'WWW-Authenticate': 'Bearer realm="cellhouse"' },
} as const;
const WRONG: Refusal = { ...UNAUTHENTICATED, message: 'The token is wrong, expired or revoked.' };

function tooMany(retryAfterMs: number): Refusal {
  const message =
    'Too many wrong tokens have come from this address. Wait before you send this token again.';
  return {
    ...refusalOf(new DomainError('UNAUTHENTICATED', message, { retryAfterMs })),
    status: 429,
  };
}

/** The refusal if the lookup itself has failed. @throws the error, unless it is a DomainError */
function unavailable(error: unknown): Refusal {
  if (!(error instanceof DomainError)) throw error;
  return refusalOf(error);
}

function missing(door: Door): Refusal {
  const orPath = SERVED_DOORS.some((each) => each === door)
    ? ', or in the path: `/t/<token>/...`'
    : '';
  const message = `A token is needed, as header \`X-Auth-Token\` or \`Authorization: Bearer\`${orPath}.`;
  return without(message);
}

function without(message: string): Refusal {
  return { ...UNAUTHENTICATED, message, isTokenMissing: true };
}

/**
 * The refusal of a right token at this door. Null: the token is accepted. Proxies, browser histories and logs keep
 * URLs, so a URL may contain only a token that works at a single door.
 */
function notHere(
  { door: its, by }: Holder,
  door: Door,
  { isInUrl }: Pick<Given, 'isInUrl'>,
): Refusal | null {
  const forbidden = (message: string) => ({ status: 403, code: 'FORBIDDEN', message });
  if (isInUrl && by[door].tokenId === AUTH_TOKEN_HOLDER.tokenId)
    return forbidden(
      `AUTH_TOKEN never goes into a URL. \`cellhouse doors\` makes a token for ${door}.`,
    );
  if (its !== null && its !== door)
    return forbidden(`This token works for ${its} only, not for ${door}.`);
  if (isInUrl && its === null)
    return forbidden(`A token in a URL must be for ${door} only: \`cellhouse doors\` makes one.`);
  return null;
}
