import type { EntityState } from '../../../domain/entities.ts';
import type { Execution } from '../../../domain/execution.ts';

/**
 * The first of these rows, as many as have together at most `maxBytes` of code and input, which are in their events. The
 * very first is taken even if it alone has more.
 */
export function withinBytes<Row extends EntityState>(
  rows: readonly Row[],
  maxBytes: number,
): readonly Row[] {
  let bytes = 0;
  const end = rows.findIndex((row) => {
    const { codeBytes = 0, inputBytes = 0 } = row as unknown as Partial<Execution>;
    bytes += codeBytes + inputBytes;
    return bytes > maxBytes;
  });
  return end < 0 ? rows : rows.slice(0, Math.max(1, end));
}
