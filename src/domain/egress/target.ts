/**
 * The host and port that user code asks to reach. A target is brought into one form, and unusual spellings of addresses
 * are refused, so that no two parts of the program read it differently.
 */
import { type Address, addressText, parseAddress } from './address.ts';

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
export function isHostName(text: string): boolean {
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
