/** A JSON object (no array, no null). */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether the parsed JSON value nests at most `maxDepth` objects and arrays. Deeper ones are refused at the door, since
 * whoever serialises them again would run out of stack (parsing does not).
 */
export function nestsAtMost(maxDepth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (maxDepth === 0) return false;
  const children = Array.isArray(value) ? value : Object.values(value);
  return children.every((child) => nestsAtMost(maxDepth - 1, child));
}

/** A finite number that is not negative, else null. */
export function readAmount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

/** An integer that a double holds exactly, else null. */
export function readInteger(value: unknown): number | null {
  return Number.isSafeInteger(value) ? (value as number) : null;
}
