/** What makes a row's events and outputs large. Versions of environments have outputs, other kinds than executions nothing. */
export interface Sized {
  readonly codeBytes?: number;
  readonly inputBytes?: number;
  readonly outputBytes?: number;
}

/**
 * The first of these rows, as many as have together at most `maxBytes` of what `bytesOf` counts. The very first is taken
 * even if it alone has more.
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

/** Of code and input, which are in the events of an execution. */
export function bytesInEvents({ codeBytes = 0, inputBytes = 0 }: Sized): number {
  return codeBytes + inputBytes;
}
