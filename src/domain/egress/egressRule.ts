/**
 * What user code may reach outside its worker: rules such as `pypi.org`, `*.example.org:8443`, `9.9.9.9` or
 * `10.0.0.0/8:5432`. Only rules with names allow a name, and only rules with addresses allow an address.
 */
import {
  type Address,
  addressText,
  isIn,
  isNobody,
  isNobodyNetwork,
  isSingle,
  isSpecial,
  isSpecialNetwork,
  isWithin,
  type Network,
  parseNetwork,
} from './address.ts';
import { isHostName, type Target } from './target.ts';

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

/** The rule, or the problem of the text: the end of a sentence about the text, from "must" on. */
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

/**
 * Whether the address may be dialled for a listed target. It must be a host on the internet. Otherwise a rule with this
 * port must list the address itself, or a special network that contains it.
 * @param isOwn whether it is an address of the gateway's machine
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

/** The hosts and ports of this rule that none of the rules allows, such as `pypi.org:80`. */
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
