/** What is JSON already, as the elements of an array. Null for none. */
export function jsonArray(items: readonly string[]): string | null {
  return items.length > 0 ? `[${items.join(',')}]` : null;
}
