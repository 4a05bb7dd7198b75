/** The head of the agent's answer to a download (RFC 9112). Node's own client copies each piece of a body. */
import { MAX_HEADER_BYTES } from './transferErrors.ts';

export interface AnswerHead {
  readonly status: number;
  /** With names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
  /** The number of bytes of the body; null if the body lasts until the end of the connection. */
  readonly length: number | null;
}

const END = '\r\n\r\n';

/**
 * Reads a head from the beginning of an answer. Null if its end is not there yet.
 * @returns the head, and where the body begins
 * @throws Error if it is malformed or too long
 */
export function parseHead(bytes: Buffer): { head: AnswerHead; bodyAt: number } | null {
  const end = bytes.indexOf(END);
  if (end > MAX_HEADER_BYTES || (end < 0 && bytes.length > MAX_HEADER_BYTES)) throw malformed();
  if (end < 0) return null;
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 ([1-9]\d\d) /.exec(first)?.[1] ?? Number.NaN);
  const headers = Object.fromEntries(lines.map(headerOf));
  if (Number.isNaN(status) || headers['transfer-encoding'] !== undefined) throw malformed();
  return { head: { status, headers, length: lengthOf(status, headers) }, bodyAt: end + END.length };
}

function headerOf(line: string): [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw malformed();
  return [name.toLowerCase(), value];
}

function lengthOf(status: number, headers: Readonly<Record<string, string>>): number | null {
  if (status === 304) return 0;
  const text = headers['content-length'];
  if (text === undefined) return null;
  if (!/^\d{1,16}$/.test(text)) throw malformed();
  return Number(text);
}

function malformed(): Error {
  return new Error('The worker has answered with a malformed head.');
}
