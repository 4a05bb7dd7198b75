/** Reads JSON from a worker with exact integers and bounded size and depth, and computes the size of outputs. */
import { endOfText, jsonText, parseExactly } from '../../domain/exactJson.ts';
import type { ExpressionResult } from '../../domain/executionOptions.ts';
import type { Output } from '../../domain/output.ts';

/**
 * Most values (objects, arrays, numbers, texts; not keys) in one frame. Without this limit, 16 MiB of `{},{},...` hold
 * five million values: they take 0.3 GB as objects, and block the event loop for a second or more. 500,000 values take
 * 65 MB and 0.2 s at worst, and are enough for a chart of 250,000 points. The agent refuses outputs with more than
 * 400,000 (docs/internals/worker-protocol.md, "Bounds").
 */
const MAX_JSON_VALUES = 500_000;

/** Parses `text`, and keeps every digit of its integers. Undefined if it is not JSON or holds too many values. */
export function parseJson(text: string): unknown {
  if (!holdsAtMost(MAX_JSON_VALUES, text)) return undefined;
  try {
    return parseExactly(text);
  } catch (e: unknown) {
    // A SyntaxError is the peer's fault, and the caller counts it. No other error is expected.
    if (e instanceof SyntaxError) return undefined;
    throw e;
  }
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/** Counts opening brackets and commas outside of texts. So an empty list or object counts twice. */
function holdsAtMost(max: number, text: string): boolean {
  // A value takes at least two characters, including its separator. So only large frames need counting.
  if (text.length <= 2 * max) return true;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfText(text, at);
    else if (unit === COMMA || unit === OPENING_BRACKET || unit === OPENING_BRACE) values += 1;
    if (values > max) return false;
  }
  return true;
}

/**
 * Whether the parsed JSON value nests at most `maxDepth` objects and arrays. Deeper values are refused on arrival,
 * because serialising them again would overflow the stack (parsing does not).
 */
export function nestsAtMost(maxDepth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (maxDepth === 0) return false;
  const children = Array.isArray(value) ? value : Object.values(value);
  return children.every((child) => nestsAtMost(maxDepth - 1, child));
}

/** A finite number of at least 0, else null. */
export function readAmount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

/**
 * The largest `integer` in PostgreSQL and `Int` in GraphQL. Larger values are refused, because user code can set the
 * kernel's execution count to anything.
 */
const MAX_SMALL_INTEGER = 2 ** 31 - 1;

/** The latest time that a `Date` can hold. */
const MAX_TIME_MS = 8.64e15;

/** A whole number from 0 to {@link MAX_SMALL_INTEGER}, else null. */
export function readCount(value: unknown): number | null {
  return readAmount(readSmallInteger(value));
}

/** A whole number whose absolute value is at most {@link MAX_SMALL_INTEGER}, else null. */
export function readSmallInteger(value: unknown): number | null {
  const integer = readInteger(value);
  return integer !== null && Math.abs(integer) <= MAX_SMALL_INTEGER ? integer : null;
}

/** A whole number of at least 0 that a double holds exactly, else null. */
export function readSize(value: unknown): number | null {
  return readAmount(readInteger(value));
}

/** Milliseconds since the epoch that a `Date` can hold, else null. */
export function readTime(value: unknown): number | null {
  const time = readAmount(value);
  return time !== null && time <= MAX_TIME_MS ? time : null;
}

/** An integer that a double holds exactly, else null. */
export function readInteger(value: unknown): number | null {
  return Number.isSafeInteger(value) ? (value as number) : null;
}

/**
 * How many bytes an output's content counts towards `MAX_OUTPUT_BYTES`: text as UTF-8, bytes as they are, other values
 * as JSON.
 */
export function outputBytes(output: Output): number {
  switch (output.kind) {
    case 'stream':
      return output.base64 === undefined
        ? Buffer.byteLength(output.text)
        : Buffer.byteLength(output.base64, 'base64');
    case 'result':
    case 'display':
    case 'update':
      return valuesBytes(output.data) + valuesBytes(output.metadata);
    case 'error':
      return output.traceback.reduce(
        (sum, line) => sum + Buffer.byteLength(line),
        Buffer.byteLength(output.name) + Buffer.byteLength(output.value),
      );
    case 'expressions':
      return Object.entries(output.results).reduce(
        (sum, [name, result]) => sum + Buffer.byteLength(name) + resultBytes(result),
        0,
      );
    case 'input':
      return Buffer.byteLength(output.prompt);
    case 'clear':
    case 'gap':
      return 0;
    default:
      return output satisfies never;
  }
}

function resultBytes(result: ExpressionResult): number {
  return result.status === 'ok'
    ? valuesBytes(result.data) + valuesBytes(result.metadata)
    : outputBytes({ kind: 'error', ...result });
}

function valuesBytes(values: Readonly<Record<string, unknown>>): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(values))
    bytes += key.length + Buffer.byteLength(typeof value === 'string' ? value : jsonText(value));
  return bytes;
}

/**
 * How many bytes are counted for each output, and for each value nested in it, in addition to its content. A row in the
 * database or an object in memory takes about as many.
 */
export const BYTES_PER_ITEM = 64;

/** How many values an output holds once it is parsed: itself, and each value in the lists and objects of its data. */
export function outputItems(output: Output): number {
  if (output.kind === 'expressions') {
    const results = Object.values(output.results);
    return results.reduce((sum, result) => sum + 1 + itemsOf(result), 1);
  }
  return 1 + itemsOf(output);
}

function itemsOf(output: Output | ExpressionResult): number {
  if (!('data' in output)) return 0;
  return nestedValues(output.data) + nestedValues(output.metadata);
}

/** Counts values nested in lists and objects. The value of a MIME type itself does not count. */
function nestedValues(values: Readonly<Record<string, unknown>>): number {
  return Object.values(values).reduce<number>((sum, value) => sum + countWithin(value), 0);
}

/** The recursion is safe, because the depth was checked on arrival. */
function countWithin(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  for (const child of Array.isArray(value) ? value : Object.values(value))
    count += 1 + countWithin(child);
  return count;
}
