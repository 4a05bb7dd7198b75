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
