/** Characters that PostgreSQL's `text` and `jsonb` refuse. Code and its output can contain them: a Python `str` can. */
// U+0000, a high surrogate without its low one, or a low one without its high one.
export const UNSTORABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: U+0000 is what this looks for
  /\u0000|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;
const UNSTORABLE_ALL = new RegExp(UNSTORABLE.source, 'g');

/** `text` with U+FFFD for each character that PostgreSQL's `text` refuses. Not reversible. */
export function storableText(text: string): string {
  return text.replace(UNSTORABLE_ALL, '\uFFFD');
}

/** A message must name the value that it refuses, but must not repeat a whole body. */
const MAX_QUOTED_CHARS = 200;

/** A given value for an error message: in quotes, on one line, and cut if it is long. */
export function quoted(text: string): string {
  return JSON.stringify(
    text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}...` : text,
  );
}

const PLAIN = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether it can be the name of a token or a tenant: a word that needs no quoting in lists, logs and settings. */
export function isPlainName(text: string): boolean {
  return PLAIN.test(text);
}

/** The value of a GraphQL enum for a string of the domain, such as `WORKER_LOST` for `worker-lost`. */
export function enumNameOf(value: string): string {
  return value.toUpperCase().replaceAll('-', '_');
}
