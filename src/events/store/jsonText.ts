/**
 * PostgreSQL's `jsonb` and `text` refuse U+0000 and lone surrogates, but code and its output can contain both. Event
 * data keeps such a string as `{"$escaped": "<its JSON>"}`, which SQL can still read. Everything else is stored
 * unchanged.
 */
import { UNSTORABLE } from '../../domain/storableText.ts';

const ESCAPE_KEY = '$escaped';

/** `value` as JSON text that a `jsonb` column accepts. {@link decodeJson} returns the same value. */
export function encodeJson(value: unknown): string {
  const plain = JSON.stringify(value);
  // The quick test: most text contains neither these escapes of JSON.stringify nor the ESCAPE_KEY itself.
  if (!/\\u0000|\\ud[89a-f]|\$escaped/.test(plain)) return plain;
  return JSON.stringify(value, escapeValue);
}

/** The value that was given to {@link encodeJson}, from its parsed JSON. */
export function decodeJson(stored: unknown): unknown {
  if (Array.isArray(stored)) return stored.map(decodeJson);
  if (!isRecord(stored)) return stored;
  const escaped = stored[ESCAPE_KEY];
  if (typeof escaped === 'string') return JSON.parse(escaped);
  return Object.fromEntries(Object.entries(stored).map(([key, item]) => [key, decodeJson(item)]));
}

function escapeValue(_key: string, value: unknown): unknown {
  const isOdd =
    typeof value === 'string'
      ? UNSTORABLE.test(value)
      : isRecord(value) && Object.hasOwn(value, ESCAPE_KEY);
  return isOdd ? { [ESCAPE_KEY]: JSON.stringify(value) } : value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
