/**
 * Reads and writes JSON without changing the digits of whole numbers. Python's whole numbers have any number of digits,
 * but `JSON.parse` turns them into doubles, which are exact only up to 2^53. Here, a whole number is read as a `bigint`
 * if JavaScript would write it with other digits. The alternatives are in
 * docs/decisions/0024-whole-numbers-keep-their-digits.md.
 */

/** Python itself neither reads nor writes longer numbers. The time to read one grows with the square of its length. */
const MAX_DIGITS = 4_300;
/** The number of digits of 2^53. Shorter numbers are always exact as doubles. */
const MIN_LONG_DIGITS = 16;

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

type Values = Record<string, unknown>;

/** Parses `text`. @throws SyntaxError if it is not JSON, or contains a whole number of more than 4,300 digits */
export function parseExactly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!holds(value, isTooLarge)) return value;
  const root: Values = { value };
  restore(root, { value: JSON.parse(withLongNumbersAsText(text)) });
  return root.value;
}

/** Like `JSON.stringify`, but also writes each `bigint`. @throws RangeError if the value contains itself */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error: unknown) {
    // JSON.stringify refuses a bigint. It is tried first because most values contain none, and a search costs time.
    if (!(error instanceof TypeError)) throw error;
    return written(value) ?? 'null';
  }
}

/**
 * Whether `isSuch` is true for any value inside `value` that is not an object or array. It does not recurse, because
 * data from a worker may be nested deeply.
 */
export function holds(value: unknown, isSuch: (value: unknown) => boolean): boolean {
  const open: object[] = [];
  const look = (child: unknown): boolean => {
    if (typeof child !== 'object' || child === null) return isSuch(child);
    open.push(child);
    return false;
  };
  if (look(value)) return true;
  for (let next = open.pop(); next; next = open.pop()) {
    if (Array.isArray(next)) {
      for (const child of next) if (look(child)) return true;
    } else {
      // Every frame and answer passes through here, and `Object.values` would allocate an array for each object.
      for (const key in next) if (look((next as Values)[key])) return true;
    }
  }
  return false;
}

export function isBigInt(value: unknown): value is bigint {
  return typeof value === 'bigint';
}

function isTooLarge(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER;
}

/**
 * Puts exact numbers into a parsed value. `marked` is the same value with each long number as a string of its digits.
 * What is a string in the JSON is a string in both values. So where `parsed` has a number and `marked` has a string,
 * that string can only be the number's digits.
 */
function restore(parsed: Values, marked: Values): void {
  const open: [Values, Values][] = [[parsed, marked]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [values, texts] = next;
    for (const [key, text] of Object.entries(texts)) {
      const value = values[key];
      if (typeof value === 'object' && value !== null) open.push([value as Values, text as Values]);
      else if (typeof value === 'number' && typeof text === 'string' && String(value) !== text)
        values[key] = BigInt(text);
    }
  }
}

function withLongNumbersAsText(text: string): string {
  let made = '';
  let copied = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfText(text, at);
    else if (unit === MINUS || (unit >= ZERO && unit <= NINE)) {
      const [number, fraction, exponent] = numberAt(text, at);
      const isLong = !fraction && !exponent && number.length >= MIN_LONG_DIGITS;
      const digits = unit === MINUS ? number.length - 1 : number.length;
      if (isLong && digits > MAX_DIGITS) throw new SyntaxError('A number is too long.');
      if (isLong) {
        made += `${text.slice(copied, at)}"${number}"`;
        copied = at + number.length;
      }
      at += number.length - 1;
    }
  }
  return made + text.slice(copied);
}

/** The number that begins at `at`: its whole text, its fraction and its exponent. */
function numberAt(text: string, at: number): [string, string | undefined, string | undefined] {
  NUMBER.lastIndex = at;
  const [number = '', fraction, exponent] = NUMBER.exec(text) ?? [];
  return [number, fraction, exponent];
}

/** The index of the closing quote of the JSON string that opens at `start`. */
export function endOfText(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end === -1 ? json.length : end;
}

function isEscaped(json: string, at: number): boolean {
  let first = at;
  while (json.charCodeAt(first - 1) === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}

/** The value as JSON text. Undefined for values that JSON cannot express, such as functions. */
function written(value: unknown): string | undefined {
  if (isBigInt(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => written(item) ?? 'null').join(',')}]`;
  if (typeof value !== 'object' || value === null || 'toJSON' in value)
    return JSON.stringify(value);
  const fields = Object.entries(value).flatMap(([key, item]) => {
    const text = written(item);
    return text === undefined ? [] : [`${JSON.stringify(key)}:${text}`];
  });
  return `{${fields.join(',')}}`;
}

/** A JSON object (no array, no null). */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
