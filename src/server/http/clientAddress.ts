/** Whose request it is, by address: what failed authentications are counted by. */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import { networksOf } from '../../config/networks.ts';

/** Gives the address that a request comes from, in a form that is the same for all who could change it freely. */
export type AddressOf = (req: Pick<IncomingMessage, 'socket' | 'headers'>) => string;

/**
 * A client can write anything into `X-Forwarded-For`, but not what a proxy appends. So if the peer is a trusted proxy,
 * the address is the last entry that is none. Otherwise it is the peer.
 * @param trustedProxies addresses, or networks as `10.0.0.0/8`
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
    // What is no address comes from a proxy that adds something else. All of its clients count as one.
    return client === undefined || isIP(client) === 0 ? peer : networkOf(client);
  };
}

/** An IPv4 address that a socket for both families shows as `::ffff:1.2.3.4`, as itself. */
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
