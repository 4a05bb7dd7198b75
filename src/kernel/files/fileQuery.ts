/** The parameters of a file request. A missing one takes the agent's default. */
export type Parameters = Readonly<
  Record<string, string | number | boolean | Uint8Array | null | undefined>
>;

/** Bytes that need no escape in a query (RFC 3986, "unreserved", and the slash). */
const PLAIN = /[A-Za-z0-9\-._~/]/;
const ESCAPES = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return PLAIN.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
});

/** The query string. Bytes travel as they are, since a name need not be UTF-8. */
export function queryOf(parameters: Parameters): string {
  return Object.entries(parameters)
    .flatMap(([name, value]) =>
      value === undefined || value === null ? [] : [`${name}=${escaped(value)}`],
    )
    .join('&');
}

function escaped(value: string | number | boolean | Uint8Array): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value));
  return Array.from(bytes, (byte) => ESCAPES[byte]).join('');
}
