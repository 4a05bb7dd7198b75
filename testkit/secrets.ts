/** Finds secrets of tokens in places that must not contain any: logs, tables, files and lists of processes. */

/** As src/process/dataDir.ts makes them. */
const SECRET = /ch_[A-Za-z0-9_-]{43}|e2b_[0-9a-f]{40}/g;
/** A shorter AUTH_TOKEN is not looked for: it may be part of any text. Only tests have one so short. */
const MIN_OWN_CHARS = 16;

/** The secrets in a text. @param own other tokens to look for, such as AUTH_TOKEN */
export function secretsIn(text: string, own: readonly string[] = []): string[] {
  const known = own.filter((token) => token.length >= MIN_OWN_CHARS && text.includes(token));
  return [...new Set([...(text.match(SECRET) ?? []), ...known])];
}

/** The same as a regular expression of PostgreSQL, for tables. */
export const SECRET_IN_SQL = SECRET.source;
