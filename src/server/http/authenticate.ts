/** Identifies the caller by `X-Auth-Token` or `Authorization: Bearer`, in headers or in `connectionParams`. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../service/principal.ts';
import type { Refusal } from './refuse.ts';

const TOKEN_NAME = 'x-auth-token';
const BEARER_NAME = 'authorization';

export type Authenticate = (names: Readonly<Record<string, unknown>>) => Principal | null;

/** Names are case-insensitive. Both tokens are hashed first, so that timing reveals neither length nor content. */
export function createAuthenticate(token: string): Authenticate {
  const expected = sha256(token);
  return (names) => {
    const given = tokenIn(names);
    return given !== null && timingSafeEqual(sha256(given), expected) ? AUTH_TOKEN_HOLDER : null;
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

/** The token in `names`, right or wrong. `X-Auth-Token` takes precedence over `Authorization`. */
function tokenIn(names: Readonly<Record<string, unknown>>): string | null {
  return textOf(names, TOKEN_NAME) ?? bearerIn(textOf(names, BEARER_NAME));
}

function textOf(names: Readonly<Record<string, unknown>>, wanted: string): string | null {
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

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
