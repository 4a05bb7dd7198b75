/**
 * JSON whose whole numbers keep their digits. Python's have as many as they need, and `JSON.parse` makes doubles of them, which
 * are exact up to 2^53. Here a whole number that would not come out again as it came in is a `bigint`.
 * Why not otherwise: docs/decisions/0024-whole-numbers-keep-their-digits.md.
 */

/** Python itself reads and writes no longer ones. The time to read one grows with the square of its length. */
const MAX_DIGITS = 4_300;
/** Of 2^53. Shorter numbers are left alone. */
const MIN_LONG_DIGITS = 16;

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

type Values = Record<string, unknown>;

/** The value that `text` says. @throws SyntaxError for what is no JSON, and for numbers of more than 4,300 digits */
export function parseExactly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!holds(value, isTooLarge)) return value;
  const root: Values = { value };
  restore(root, { value: JSON.parse(withLongNumbersAsText(text)) });
  return root.value;
}

/** As `JSON.stringify`, which refuses a `bigint`. @throws RangeError for what has no end */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error: unknown) {
    // Of a bigint. Most values have none, and to look for one first would cost them all.
    if (!(error instanceof TypeError)) throw error;
    return written(value) ?? 'null';
  }
}

/** Whether there is such a number anywhere in it. Without recursion: what a worker sends may be deep. */
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
      // Every frame and answer comes through here: `Object.values` would make a list of each object.
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
 * Puts exact numbers into what was parsed. `marked` is the same with every long number as a text: where one has a number and the
 * other a text, the text is the number's digits, and never a text of the user's.
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

/** The number that begins there, its fraction and its exponent. */
function numberAt(text: string, at: number): [string, string | undefined, string | undefined] {
  NUMBER.lastIndex = at;
  const [number = '', fraction, exponent] = NUMBER.exec(text) ?? [];
  return [number, fraction, exponent];
}

/** Where the text that is opened at `start` is closed. */
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

/** Undefined for what JSON has no word for. */
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
