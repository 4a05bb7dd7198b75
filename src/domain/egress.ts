/**
 * What user code may reach outside its worker: rules such as `pypi.org`, `*.example.org:8443`, `9.9.9.9` or
 * `10.0.0.0/8:5432`. Only rules with names allow a name, and only rules with addresses allow an address.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { SessionId } from './ids.ts';

// IP addresses and networks as numbers, so that each has only one form: `::ffff:10.0.0.1` is 10.0.0.1. This file also
// says which addresses are not hosts on the internet, and finds the IPv4 address inside a NAT64 or 6to4 address.

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** All addresses whose first `bits` are those of `base`. */
interface Network {
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

function isIn({ base, bits }: Network, { family, value }: Address): boolean {
  const rest = BigInt(BITS[family] - bits);
  return base.family === family && base.value >> rest === value >> rest;
}

/** Whether all of `inner` is in `outer`. */
function isWithin(outer: Network, inner: Network): boolean {
  return outer.bits <= inner.bits && isIn(outer, inner.base);
}

/** Whether the network is one address. */
function isSingle({ base, bits }: Network): boolean {
  return bits === BITS[base.family];
}

/** Whether nothing may ever be sent to the address, because it is unspecified, multicast or reserved. */
function isNobody(address: Address): boolean {
  return NOBODY.some((network) => isIn(network, address));
}

/** Whether {@link isNobody} is true for every address of the network. */
function isNobodyNetwork(network: Network): boolean {
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
function isSpecialNetwork(network: Network): boolean {
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

// The host and port that user code asks to reach. A target is brought into one form, and unusual spellings of addresses
// are refused, so that no two parts of the program read it differently.

export interface Target {
  readonly host:
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'address'; readonly address: Address };
  readonly port: number;
}

const MAX_NAME_CHARS = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** A label that some programs read as a number of an IPv4 address, in decimal, octal or hexadecimal. */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;

/** Whether the text is a host name in lower case that no program reads as an address. */
function isHostName(text: string): boolean {
  const labels = text.split('.');
  const last = labels.at(-1) ?? '';
  return (
    text.length <= MAX_NAME_CHARS && labels.every((each) => LABEL.test(each)) && !NUMBER.test(last)
  );
}

/**
 * The target of an authority such as `pypi.org:443` or `[2001:db8::1]`. Null if it names a user, if its port is not a
 * number, or if it spells an address in an unusual way (`127.1`, `0x7f.1`, `017700000001`, `fe80::1%eth0`).
 * @param defaultPort null if the authority must have a port
 */
export function parseTarget(authority: string, defaultPort: number | null): Target | null {
  const parts = /^(\[[^\]@]*\]|[^[\]:@]*)(?::(\d{1,5}))?$/.exec(authority);
  if (!parts) return null;
  const [, written = '', digits] = parts;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === null || port < 1 || port > 65_535) return null;
  const isBracketed = written.startsWith('[');
  const text = isBracketed ? written.slice(1, -1) : written.toLowerCase().replace(/\.$/, '');
  const address = parseAddress(text);
  if (address !== null)
    return isBracketed === text.includes(':') ? { host: { kind: 'address', address }, port } : null;
  return !isBracketed && isHostName(text) ? { host: { kind: 'name', name: text }, port } : null;
}

/** The host as it is dialled, shown and recorded. */
export function hostText({ host }: Target): string {
  return host.kind === 'name' ? host.name : addressText(host.address);
}

/** The target as the header `Host` names it. @param defaultPort the port that is left out */
export function authorityOf(target: Target, defaultPort: number | null): string {
  const { host, port } = target;
  const text = hostText(target);
  const name = host.kind === 'address' && host.address.family === 6 ? `[${text}]` : text;
  return port === defaultPort ? name : `${name}:${port}`;
}

export interface EgressRule {
  /** The rule as it is stored and shown, in lower case. */
  readonly text: string;
  readonly host: HostPattern;
  readonly ports: readonly number[];
  /** Whether the rule names its port. Only such a rule allows private addresses and those of the gateway's machine. */
  readonly hasPort: boolean;
}

type HostPattern =
  | { readonly kind: 'name'; readonly name: string }
  /** Every name that ends with `end`. If `end` is empty: every name. */
  | { readonly kind: 'suffix'; readonly end: string }
  | { readonly kind: 'network'; readonly network: Network };

const DEFAULT_PORTS: readonly number[] = [80, 443];

/** The forms of a rule, for messages. */
const RULE_FORMS =
  'a host such as pypi.org, *.example.org, example.org:8443, 9.9.9.9, 10.0.0.0/8:5432 or [::1]:8080';

/**
 * The rule. If the text is no rule, `problem` completes a sentence that begins with the text, such as "must have a
 * port".
 */
export function parseRule(text: string): EgressRule | { readonly problem: string } {
  const written = text.trim().toLowerCase();
  const [address, addressPort] = splitPort(written);
  const port = addressPort === null ? null : portOf(addressPort);
  const host = patternOf(address);
  if (host === null || port === 'wrong') return { problem: `must be ${RULE_FORMS}` };
  const rule: EgressRule = {
    text: written,
    host,
    ports: port === null ? DEFAULT_PORTS : [port],
    hasPort: port !== null,
  };
  const problem = problemOf(rule);
  return problem === null ? rule : { problem };
}

/** The rules in a text, separated by commas or white space. Undefined if one of them is invalid. */
export function parseRules(text: string): readonly EgressRule[] | undefined {
  const rules: EgressRule[] = [];
  for (const part of text.split(/[\s,]+/).filter((each) => each !== '')) {
    const rule = parseRule(part);
    if ('problem' in rule) return undefined;
    rules.push(rule);
  }
  return rules;
}

/** Whether a rule lists the target. Each address of a listed name must also pass {@link mayDial}. */
export function isListed(rules: readonly EgressRule[], { host, port }: Target): boolean {
  return rules.some((rule) => {
    if (!rule.ports.includes(port)) return false;
    if (host.kind === 'name') return isNamed(rule.host, host.name);
    return rule.host.kind === 'network' && isIn(rule.host.network, host.address);
  });
}

/** Whether the rule lists every name, or every address of a family. */
export function isForEveryHost({ host }: EgressRule): boolean {
  return host.kind === 'network'
    ? host.network.bits === 0
    : host.kind === 'suffix' && host.end === '';
}

/**
 * Whether the address may be dialled for a listed target. It must be a host on the internet, and not the gateway's
 * machine. Otherwise a rule with this port must list the address itself, or a special network that contains it.
 * @param isOwn whether `address` is one of the gateway's machine
 */
export function mayDial(
  rules: readonly EgressRule[],
  address: Address,
  { port, isOwn }: { readonly port: number; readonly isOwn: boolean },
): boolean {
  if (isNobody(address)) return false;
  if (!isOwn && !isSpecial(address)) return true;
  return rules.some(
    ({ host, hasPort, ports }) =>
      hasPort &&
      ports.includes(port) &&
      host.kind === 'network' &&
      isIn(host.network, address) &&
      (isSpecialNetwork(host.network) || isSingle(host.network)),
  );
}

/** The hosts and ports of a single rule that no rule in `rules` allows, such as `pypi.org:80`. */
export function notCovered(rules: readonly EgressRule[], { host, ports }: EgressRule): string[] {
  return ports
    .filter((port) => !rules.some((rule) => rule.ports.includes(port) && covers(rule.host, host)))
    .map((port) => `${patternText(host)}:${port}`);
}

function isNamed(pattern: HostPattern, name: string): boolean {
  if (pattern.kind === 'name') return pattern.name === name;
  return pattern.kind === 'suffix' && name.endsWith(pattern.end);
}

function covers(outer: HostPattern, inner: HostPattern): boolean {
  switch (inner.kind) {
    case 'name':
      return isNamed(outer, inner.name);
    case 'suffix':
      return outer.kind === 'suffix' && inner.end.endsWith(outer.end);
    case 'network':
      return outer.kind === 'network' && isWithin(outer.network, inner.network);
    default:
      return inner satisfies never;
  }
}

function problemOf({ host, hasPort }: EgressRule): string | null {
  if (host.kind !== 'network') return null;
  const { network } = host;
  if (isNobodyNetwork(network))
    return 'must not be an unspecified (0.0.0.0), multicast or reserved address';
  if (isSpecialNetwork(network) && !hasPort)
    return 'must have a port: the address is private, loopback or link-local';
  return null;
}

/** Splits off `:port`. An IPv6 address is in brackets if a port follows. */
function splitPort(text: string): readonly [host: string, port: string | null] {
  const bracketed = /^\[([^\]]*)\](\/\d{1,3})?(?::(.*))?$/.exec(text);
  if (bracketed) {
    const [, inside = '', mask = '', port = null] = bracketed;
    return [inside.includes(':') ? `${inside}${mask}` : '', port];
  }
  const colon = text.indexOf(':');
  if (colon === -1 || colon !== text.lastIndexOf(':')) return [text, null];
  return [text.slice(0, colon), text.slice(colon + 1)];
}

function portOf(text: string): number | 'wrong' {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : 'wrong';
}

function patternOf(text: string): HostPattern | null {
  const network = parseNetwork(text);
  if (network !== null) return { kind: 'network', network };
  if (text === '*') return { kind: 'suffix', end: '' };
  if (text.startsWith('*.'))
    return isHostName(text.slice(2)) ? { kind: 'suffix', end: text.slice(1) } : null;
  return isHostName(text) ? { kind: 'name', name: text } : null;
}

function patternText(host: HostPattern): string {
  switch (host.kind) {
    case 'name':
      return host.name;
    case 'suffix':
      return `*${host.end}`;
    case 'network': {
      const { base, bits } = host.network;
      const mask = isSingle(host.network) ? '' : `/${bits}`;
      return base.family === 6 ? `[${addressText(base)}]${mask}` : `${addressText(base)}${mask}`;
    }
    default:
      return host satisfies never;
  }
}

/**
 * The outcome of a connection that user code asked for. `allowed`: the host is listed, so the gateway tried to reach
 * it. If that failed, the connection is counted again, under one of the last four outcomes.
 */
export type EgressOutcome =
  | 'allowed'
  | 'not-listed'
  | 'malformed'
  | 'too-many'
  | 'private-address'
  | 'unresolved'
  | 'unreachable'
  | 'timed-out';

/** The counts of one gateway since its start. */
export interface EgressTotals {
  readonly outcomes: ReadonlyMap<EgressOutcome, number>;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** The connections that are open now. */
  readonly open: number;
}

/** The key of a count. Connections with the same key are counted together. */
export interface EgressKey {
  readonly sessionId: SessionId;
  /** The host as code asked for it, in its usual form. Empty if the request names no host. */
  readonly host: string;
  /** 0 if there is no host. */
  readonly port: number;
  readonly outcome: EgressOutcome;
}

/** How many connections of one minute had the same key. */
export interface EgressCount extends EgressKey {
  readonly minute: Date;
  connections: number;
  /** Bytes from the worker to the host. */
  sentBytes: number;
  receivedBytes: number;
}
