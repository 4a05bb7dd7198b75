/** The rows as lines of text, below their titles, in columns that are as wide as their longest cell. Pure. */
export function tableOf<Row>(
  columns: Readonly<Record<string, (row: Row) => string>>,
  rows: readonly Row[],
): string[] {
  const cells = [
    Object.keys(columns),
    ...rows.map((row) => Object.values(columns).map((c) => c(row))),
  ];
  const widths = Object.keys(columns).map((_, at) =>
    Math.max(...cells.map((line) => line[at]?.length ?? 0)),
  );
  return cells.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
