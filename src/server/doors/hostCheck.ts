import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Config } from '../../config/config.ts';
import type { Refusal } from '../../doors/shared/refusal.ts';
import { createOriginCheck } from '../http/cors.ts';

/** The refusal of a request that comes under a foreign name, or from a foreign page. Null: neither. */
export type HostCheck = (req: Pick<IncomingMessage, 'headers'>) => Refusal | null;

/**
 * Doors need no page of the web. A page can make its own name mean this machine (DNS rebinding), but the browser then
 * sends that name as `Host`. An address cannot be made to mean another one, so addresses are allowed. If HOST is
 * loopback, no name but `localhost` is expected. Otherwise ALLOWED_HOSTS says which.
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

/** Without port, in lower case. Null: there is no `Host`, so it is no browser. */
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

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const FOREIGN_HOST: Refusal = {
  status: 403,
  code: 'FORBIDDEN',
  message: 'No door is open under this name of the host. ALLOWED_HOSTS lists the names.',
};
const FOREIGN_ORIGIN: Refusal = {
  status: 403,
  code: 'FORBIDDEN',
  message: 'Pages of this origin may not call. CORS_ORIGINS lists those that may.',
};
