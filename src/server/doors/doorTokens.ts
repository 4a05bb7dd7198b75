/** Takes the token out of a request to a door, so that nothing after this can log it with the URL. */
import type { IncomingMessage } from 'node:http';
import type { DoorCredentials } from '../../doors/openDoor.ts';
import { type Given, textOf } from '../http/givenToken.ts';

const PATH_TOKEN = /^\/t\/([^/?]*)(\/[^?]*)?(\?.*)?$/s;
const QUERY_TOKEN = 'token';

/** A URL without its token. */
export interface WithoutToken {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Null: the path had no `/t/<token>`. */
  readonly inPath: string | null;
  readonly inQuery: string | null;
}

/** Removes the token from `req.url` for good, so that no later code sees it there. */
export function takeToken(req: IncomingMessage): WithoutToken {
  const url = req.url ?? '/';
  const inPath = PATH_TOKEN.exec(url);
  const [path = '/', ...more] = (inPath ? `${inPath[2] ?? '/'}${inPath[3] ?? ''}` : url).split('?');
  const query = new URLSearchParams(more.join('?'));
  const inQuery = query.get(QUERY_TOKEN);
  query.delete(QUERY_TOKEN);
  req.url = query.size === 0 ? path : `${path}?${query}`;
  return { path, query, inPath: inPath ? decoded(inPath[1] ?? '') : null, inQuery };
}

/**
 * The token to check: the one in the path, else the first in a header that the door accepts, else the one in the query.
 */
export function tokenGiven(
  { inPath, inQuery }: WithoutToken,
  { headers }: IncomingMessage,
  credentials: DoorCredentials,
): Given | null {
  if (inPath !== null) return { secret: inPath, isInUrl: true };
  for (const name of credentials.headers) {
    const value = textOf(headers, name);
    const secret = name === 'authorization' ? afterScheme(value) : value;
    if (secret !== null) return { secret, isInUrl: false };
  }
  return credentials.isInQuery && inQuery !== null ? { secret: inQuery, isInUrl: true } : null;
}

function afterScheme(value: string | null): string | null {
  return /^(?:Bearer|token) +(.+)$/i.exec(value ?? '')?.[1]?.trim() ?? null;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A percent sign begins no valid escape. The text is checked as it is, and refused if it is not a token.
    return part;
  }
}
