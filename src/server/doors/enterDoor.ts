/** The way into a door: finds the door of a request, checks where the request comes from, and authenticates it. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Config } from '../../config/config.ts';
import type {
  DoorCredentials,
  DoorRequest,
  KeyShown,
  OpenDoor,
  Stopping,
  UnknownRequest,
} from '../../doors/openDoor.ts';
import type { Refusal } from '../../service/refusal.ts';
import type { Service } from '../../service/service.ts';
import {
  type AddressOf,
  type Authenticate,
  type AuthenticateKey,
  type Given,
  isRefusal,
  textOf,
} from '../http/authenticate.ts';
import { createOriginCheck } from '../http/cors.ts';
import { isLoopback } from '../http/listen.ts';

// Takes the token out of a request to a door, so that nothing after this can log it with the URL.

const PATH_TOKEN = /^\/t\/([^/?]*)(\/[^?]*)?(\?.*)?$/s;
const QUERY_TOKEN = 'token';

/** A URL without its token. */
interface WithoutToken {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Null: the path had no `/t/<token>`. */
  readonly inPath: string | null;
  readonly inQuery: string | null;
}

/** Removes the token from `req.url` for good, so that no later code sees it there. */
function takeToken(req: IncomingMessage): WithoutToken {
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
function tokenGiven(
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

/** The door that serves a request. */
export interface FoundDoor {
  readonly door: OpenDoor;
  readonly request: UnknownRequest;
  readonly taken: WithoutToken;
}

/**
 * `elsewhere`: the request is not for a door. Null: its path begins with a token, but no door is at the rest of the
 * path.
 */
export type FindDoor = (req: IncomingMessage) => FoundDoor | 'elsewhere' | null;

/** Finds doors by path. Removes the token from the request's URL, unless the result is `elsewhere`. */
export function createFindDoor(doors: readonly OpenDoor[]): FindDoor {
  const mounts = doors.flatMap((door) =>
    Object.entries(door.mounts).map(([prefix, inside]) => ({ door, prefix, inside })),
  );

  function mountOf(path: string) {
    return mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
  }

  return (req) => {
    const [path = '/'] = (req.url ?? '/').split('?', 1);
    const hasToken = path.startsWith('/t/');
    if (!hasToken && mountOf(path) === undefined) return 'elsewhere';
    const taken = takeToken(req);
    const mount = mountOf(taken.path);
    if (mount === undefined) return null;
    const inside = `${mount.inside}${taken.path.slice(mount.prefix.length)}`;
    const request = { req, method: req.method ?? 'GET', path: inside, query: taken.query };
    return { door: mount.door, request, taken };
  };
}

/** The refusal of a request whose `Host` or `Origin` is not allowed. Null: both are allowed. */
export type HostCheck = (req: Pick<IncomingMessage, 'headers'>) => Refusal | null;

/**
 * Keeps web pages of other sites away from the doors. A page can make the name of its own server resolve to this
 * machine (DNS rebinding), but the browser still sends that name as `Host`. Nobody can redirect an address in this way,
 * so all addresses are allowed. So is `localhost`. ALLOWED_HOSTS lists the other allowed names. If it is unset, no
 * other name is allowed if HOST is loopback, and every name otherwise.
 */
export function createHostCheck({
  host,
  allowedHosts,
  corsOrigins,
}: Pick<Config, 'host' | 'allowedHosts' | 'corsOrigins'>): HostCheck {
  const names = new Set(allowedHosts ?? (isLoopback(host) ? [] : ['*']));
  const isOriginAllowed = createOriginCheck(corsOrigins);
  return (req) => {
    const name = nameOf(req.headers.host);
    if (name !== null && !names.has('*') && !names.has(name) && !isOwnName(name))
      return FOREIGN_HOST;
    return isOriginAllowed(req) ? null : FOREIGN_ORIGIN;
  };
}

/**
 * The name in a `Host` header, without its port, in lower case. Null: there is no `Host`, so the client is no browser.
 */
function nameOf(header: string | undefined): string | null {
  if (header === undefined) return null;
  return header
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}

function isOwnName(name: string): boolean {
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost');
}

const FOREIGN_HOST: Refusal = {
  status: 403,
  code: 'FORBIDDEN',
  message: 'The doors are not open under this host name. ALLOWED_HOSTS lists the allowed names.',
};
const FOREIGN_ORIGIN: Refusal = {
  status: 403,
  code: 'FORBIDDEN',
  message: 'Pages of this origin may not call. CORS_ORIGINS lists those that may.',
};

export interface EnterDoorDeps {
  readonly authenticate: Authenticate;
  readonly authenticateKey: AuthenticateKey;
  readonly addressOf: AddressOf;
  readonly service: Pick<Service, 'boundTo'>;
  readonly stopping: Stopping;
}

/** Authenticates a request by its token, or by the key or signature that it shows. */
export async function enterDoor(
  { authenticate, authenticateKey, addressOf, service, stopping }: EnterDoorDeps,
  { door, request, taken }: FoundDoor,
  shown?: KeyShown,
): Promise<DoorRequest | Refusal> {
  const { req } = request;
  const origin = { door: door.name, address: addressOf(req) };
  const principal = shown
    ? await authenticateKey(shown, origin)
    : await authenticate(tokenGiven(taken, req, door.credentials), origin);
  if (isRefusal(principal)) return principal;
  return { ...request, principal, service: service.boundTo(principal), stopping };
}
