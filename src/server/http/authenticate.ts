/** Identifies the caller by `X-Auth-Token` or `Authorization: Bearer`, in headers or in `connectionParams`. */
import type { IncomingMessage } from 'node:http';
import { DomainError } from '../../domain/errors.ts';
import { secretHash } from '../../domain/secretHash.ts';
import type { Door } from '../../domain/token.ts';
import type { Holder, TokenBook } from '../../service/access/tokenBook.ts';
import { AUTH_TOKEN_HOLDER, byDoor, type Principal } from '../../service/principal.ts';
import type { Refusal } from './refuse.ts';

const TOKEN_NAME = 'x-auth-token';
const BEARER_NAME = 'authorization';
/** What secrets of ours look like (tokenSecret.ts). Nothing else is asked for in the database. */
const SECRET_SHAPE = /^(?:ch_[A-Za-z0-9_-]{43}|e2b_[0-9a-f]{40})$/;

type Names = Readonly<Record<string, unknown>>;

/** Who sends these headers or parameters by this door. Null: nobody whom a token lets in. @throws FORBIDDEN at a door that the token is not for */
export type Authenticate = (names: Names, door: Door) => Promise<Principal | null>;

export interface AuthenticateDeps {
  /** AUTH_TOKEN. */
  readonly token: string;
  readonly tokenBook: Pick<TokenBook, 'isFresh' | 'holderOf' | 'read'>;
}

/** Names are case-insensitive. Only hashes are compared, so that timing reveals nothing about a secret. */
export function createAuthenticate({ token, tokenBook }: AuthenticateDeps): Authenticate {
  const ownHash = secretHash(token);
  const own = byDoor(AUTH_TOKEN_HOLDER);
  return async (names, door) => {
    const given = tokenIn(names);
    if (given === null) return null;
    const hash = secretHash(given);
    if (hash === ownHash) return own[door];
    const known = tokenBook.isFresh ? tokenBook.holderOf(hash) : null;
    const holder = known ?? (SECRET_SHAPE.test(given) ? await tokenBook.read(hash) : null);
    if (holder === null) return null;
    if ((holder.door ?? door) !== door) throw wrongDoor(holder, door);
    return holder.by[door];
  };
}

/** The refusal of a request whose token is missing or wrong. */
export function unauthenticated({ headers }: IncomingMessage): Refusal {
  return {
    status: 401,
    code: 'UNAUTHENTICATED',
    message:
      tokenIn(headers) === null
        ? 'A token is needed, as header `X-Auth-Token` or `Authorization: Bearer`.'
        : 'The token is wrong.',
    headers: { 'WWW-Authenticate': 'Bearer realm="cellhouse"' },
  };
}

function wrongDoor({ door: its }: Holder, door: Door): DomainError {
  return new DomainError('FORBIDDEN', `This token works for ${its} only, not for ${door}.`);
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
