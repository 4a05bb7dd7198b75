/**
 * The sizes of a row's events and outputs. Executions have all of them, versions of environments only the output, other
 * kinds none.
 */
export interface Sized {
  readonly codeBytes?: number;
  readonly inputBytes?: number;
  readonly outputBytes?: number;
}

/**
 * The first of these rows, as long as their sizes (`bytesOf`) add up to at most `maxBytes`. The very first is taken
 * even if it alone is larger.
 */
export function withinBytes<Row>(
  rows: readonly Row[],
  maxBytes: number,
  bytesOf: (row: Row & Sized) => number,
): readonly Row[] {
  let bytes = 0;
  const end = rows.findIndex((row) => {
    bytes += bytesOf(row as Row & Sized);
    return bytes > maxBytes;
  });
  return end < 0 ? rows : rows.slice(0, Math.max(1, end));
}

/** The bytes of code and input, which are in the events of an execution. */
export function bytesInEvents({ codeBytes = 0, inputBytes = 0 }: Sized): number {
  return codeBytes + inputBytes;
}
