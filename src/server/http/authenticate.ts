/** Identifies the caller by `X-Auth-Token` or `Authorization: Bearer`, in headers or in `connectionParams`. */
import { DomainError } from '../../domain/errors.ts';
import { secretHash } from '../../domain/secretHash.ts';
import type { Door } from '../../domain/token.ts';
import type { Refusals } from '../../service/access/refusals.ts';
import type { Holder, TokenBook } from '../../service/access/tokenBook.ts';
import { AUTH_TOKEN_HOLDER, byDoor, type Principal } from '../../service/principal.ts';
import type { FailedLogins } from './failedLogins.ts';
import { refusalOf } from './refusalOf.ts';
import type { Refusal } from './refuse.ts';

const TOKEN_NAME = 'x-auth-token';
const BEARER_NAME = 'authorization';
/** What secrets of ours look like (tokenSecret.ts). Nothing else is asked for in the database. */
const SECRET_SHAPE = /^(?:ch_[A-Za-z0-9_-]{43}|e2b_[0-9a-f]{40})$/;

type Names = Readonly<Record<string, unknown>>;

/** What comes by a door, and from where. */
export interface Coming {
  readonly door: Door;
  readonly address: string;
}

/** Who sends these headers or parameters, or the refusal of a call that no token lets in there. */
export type Authenticate = (names: Names, coming: Coming) => Promise<Principal | Refusal>;

export interface AuthenticateDeps {
  /** AUTH_TOKEN. */
  readonly token: string;
  readonly tokenBook: Pick<TokenBook, 'isFresh' | 'holderOf' | 'read'>;
  readonly failedLogins: FailedLogins;
  readonly refusals: Pick<Refusals, 'add'>;
}

/** Names are case-insensitive. Only hashes are compared, so that timing reveals nothing about a secret. */
export function createAuthenticate(deps: AuthenticateDeps): Authenticate {
  const { tokenBook, failedLogins, refusals } = deps;
  const ownHash = secretHash(deps.token);
  const own: Holder = { door: null, by: byDoor(AUTH_TOKEN_HOLDER) };

  async function holderOf(given: string, hash: string): Promise<Holder | null> {
    if (hash === ownHash) return own;
    const known = tokenBook.isFresh ? tokenBook.holderOf(hash) : null;
    return known ?? (SECRET_SHAPE.test(given) ? await tokenBook.read(hash) : null);
  }

  return async (names, { door, address }) => {
    const given = tokenIn(names);
    if (given === null || given === '') return MISSING;
    const hash = secretHash(given);
    // Before anything is looked up, so that guesses are answered without having been tried.
    const waitMs = failedLogins.attempt(address, hash);
    const holder = waitMs === null ? await holderOf(given, hash).catch(unavailable) : null;
    if (holder !== null && 'status' in holder) return holder;
    if (holder === null) {
      if (waitMs === null) failedLogins.failed(address, hash);
      refusals.add(null, 'authenticate', 'UNAUTHENTICATED');
      return waitMs === null ? WRONG : tooMany(waitMs);
    }
    failedLogins.succeeded(address, hash);
    const principal = holder.by[door];
    if ((holder.door ?? door) === door) return principal;
    refusals.add(principal.tokenId, 'authenticate', 'FORBIDDEN');
    return wrongDoor(holder, door);
  };
}

export function isRefusal(who: Principal | Refusal): who is Refusal {
  return 'status' in who;
}

const UNAUTHENTICATED = {
  status: 401,
  code: 'UNAUTHENTICATED',
  headers: { 'WWW-Authenticate': 'Bearer realm="cellhouse"' },
} as const;
const MISSING: Refusal = {
  ...UNAUTHENTICATED,
  message: 'A token is needed, as header `X-Auth-Token` or `Authorization: Bearer`.',
};
const WRONG: Refusal = { ...UNAUTHENTICATED, message: 'The token is wrong.' };

function tooMany(retryAfterMs: number): Refusal {
  return {
    status: 429,
    code: 'UNAUTHENTICATED',
    message: 'Too many wrong tokens have come from this address. No token is tried for a while.',
    details: { retryAfterMs },
    headers: { 'Retry-After': String(Math.ceil(retryAfterMs / 1_000)) },
  };
}

/** Nobody can say whether the token is right. @throws what is no DomainError */
function unavailable(error: unknown): Refusal {
  if (!(error instanceof DomainError)) throw error;
  return refusalOf(error);
}

function wrongDoor({ door: its }: Holder, door: Door): Refusal {
  const message = `This token works for ${its} only, not for ${door}.`;
  return { status: 403, code: 'FORBIDDEN', message };
}

/** The token in `names`, right or wrong. `X-Auth-Token` takes precedence over `Authorization`. */
function tokenIn(names: Names): string | null {
  return textOf(names, TOKEN_NAME) ?? bearerIn(textOf(names, BEARER_NAME));
}

function textOf(names: Names, wanted: string): string | null {
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
