import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Config } from '../../config/config.ts';
import type { Refusal } from '../../service/refusal.ts';
import { createOriginCheck } from '../http/cors.ts';

/** The refusal of a request whose `Host` or `Origin` is not allowed. Null: both are allowed. */
export type HostCheck = (req: Pick<IncomingMessage, 'headers'>) => Refusal | null;

/**
 * Keeps web pages of other sites away from the doors. A page can make the name of its own server resolve to this
 * machine (DNS rebinding), but the browser still sends that name as `Host`. Nobody can redirect an address in this way,
 * so all addresses are allowed. So is `localhost`. ALLOWED_HOSTS lists the other allowed names. If it is unset, every
 * name is allowed, but none if HOST is loopback.
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

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
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
