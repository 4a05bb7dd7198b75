/** Finds the address of the client that sent a request. Failed authentications are counted by this address. */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import { networksOf } from '../../config/networks.ts';

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
    return client === undefined || isIP(client) === 0 ? peer : networkOf(client);
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
