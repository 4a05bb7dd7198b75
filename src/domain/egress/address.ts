/**
 * IP addresses and networks as numbers, so that each has only one form: `::ffff:10.0.0.1` is 10.0.0.1. This file also
 * says which of them are not hosts on the internet, even if they are embedded in another address.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** All addresses whose first `bits` are those of `base`. */
export interface Network {
  readonly base: Address;
  readonly bits: number;
}

const BITS = { 4: 32, 6: 128 } as const;
const MAPPED_PREFIX = 0xffffn;

/** The address in a text. Null if it is not in the usual form: `127.1`, `0x7f000001` and `fe80::1%eth0` are not. */
export function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return { family: 4, value: valueOfIPv4(text) };
  if (!isIPv6(text) || text.includes('%')) return null;
  const value = valueOfIPv6(text);
  const isMapped = value >> 32n === MAPPED_PREFIX;
  return isMapped ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}

/**
 * The network in a text such as `10.0.0.0/8`. A single address is a network of one address. Null if the text is no
 * network.
 */
export function parseNetwork(text: string): Network | null {
  const [, written = '', mask] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const base = parseAddress(written);
  if (base === null) return null;
  const size = BITS[base.family];
  // The prefix length of an IPv4-mapped address counts the bits of IPv6.
  const skipped = isIPv6(written) && base.family === 4 ? BITS[6] - BITS[4] : 0;
  const bits = mask === undefined ? size : Number(mask) - skipped;
  return bits >= 0 && bits <= size ? { base, bits } : null;
}

/** The address in its usual form. */
export function addressText({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((by) => (value >> by) & 0xffn).join('.');
  const hex = value.toString(16).padStart(32, '0');
  const groups = hex.match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

export function isIn({ base, bits }: Network, { family, value }: Address): boolean {
  const rest = BigInt(BITS[family] - bits);
  return base.family === family && base.value >> rest === value >> rest;
}

/** Whether all of `inner` is in `outer`. */
export function isWithin(outer: Network, inner: Network): boolean {
  return outer.bits <= inner.bits && isIn(outer, inner.base);
}

/** Whether the network is one address. */
export function isSingle({ base, bits }: Network): boolean {
  return bits === BITS[base.family];
}

/** Whether nothing may ever be sent to the address, because it is unspecified, multicast or reserved. */
export function isNobody(address: Address): boolean {
  return NOBODY.some((network) => isIn(network, address));
}

/** Whether {@link isNobody} is true for every address of the network. */
export function isNobodyNetwork(network: Network): boolean {
  return NOBODY.some((outer) => isWithin(outer, network));
}

/**
 * Whether the address is not that of a single host on the internet. Such addresses are private, loopback, link-local,
 * for metadata, for documentation and so on. A NAT64 or 6to4 address is judged by the IPv4 address in it.
 */
export function isSpecial(address: Address): boolean {
  const inside = embeddedIn(address);
  if (inside !== null) return isSpecial(inside);
  return SPECIAL.some((network) => isIn(network, address));
}

/** Whether the network has only special addresses. */
export function isSpecialNetwork(network: Network): boolean {
  if (isSingle(network)) return isSpecial(network.base);
  return embeddedIn(network.base) === null && SPECIAL.some((outer) => isWithin(outer, network));
}

/**
 * The IPv4 address to which a NAT64 translator or a 6to4 tunnel would send packets for this address. Null for other
 * addresses.
 */
export function embeddedIn(address: Address): Address | null {
  if (isIn(NAT64, address)) return { family: 4, value: address.value & 0xffff_ffffn };
  if (isIn(SIX_TO_FOUR, address))
    return { family: 4, value: (address.value >> 80n) & 0xffff_ffffn };
  return null;
}

function valueOfIPv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function valueOfIPv6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const first = groupsOf(head);
  const last = tail === undefined ? [] : groupsOf(tail);
  const zeros = new Array<bigint>(8 - first.length - last.length).fill(0n);
  return [...first, ...zeros, ...last].reduce((value, group) => (value << 16n) | group, 0n);
}

/** The last group may be two groups, written as an IPv4 address. */
function groupsOf(part: string): bigint[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const value = valueOfIPv4(group);
    return [value >> 16n, value & 0xffffn];
  });
}

function networks(...texts: string[]): readonly Network[] {
  return texts.map(network);
}

function network(text: string): Network {
  const parsed = parseNetwork(text);
  if (parsed === null) throw new Error(`${text} is no network.`);
  return parsed;
}

/** RFC 6052. */
const NAT64 = network('64:ff9b::/96');
/** RFC 3056. */
const SIX_TO_FOUR = network('2002::/16');

const NOBODY = networks('0.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '::/128', 'ff00::/8');

/** IANA's registries of special-purpose addresses, and addresses outside of them that clouds use for metadata. */
const SPECIAL = [
  ...NOBODY,
  ...networks('10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'),
  ...networks('192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'),
  ...networks('198.51.100.0/24', '203.0.113.0/24'),
  // Azure's metadata and DNS.
  ...networks('168.63.129.16/32'),
  // Everything outside of 2000::/3, the only range from which IANA assigns addresses to hosts.
  ...networks('::/3', '4000::/2', '8000::/1'),
  // Teredo and other protocols; documentation.
  ...networks('2001::/23', '2001:db8::/32', '3fff::/20'),
];
