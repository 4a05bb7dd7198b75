/** A JSON object (no array, no null). */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
