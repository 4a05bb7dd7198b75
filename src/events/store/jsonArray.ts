/** Joins items that are JSON text already into a JSON array. Null if there are none. */
export function jsonArray(items: readonly string[]): string | null {
  return items.length > 0 ? `[${items.join(',')}]` : null;
}
