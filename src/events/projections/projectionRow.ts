import type { Execution, Session, Worker } from '../states.ts';

/** A projection's row as JSON for `json_populate_record`: the state with its columns' names. */
export function projectionRow(
  state: Worker | Session | Execution,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const row: Record<string, unknown> = { ...more };
  for (const [key, value] of Object.entries(state)) row[columnOf(key)] = value;
  return row;
}

/** The states have some fifty keys, and each commit asks for twenty. */
const columns = new Map<string, string>();

function columnOf(key: string): string {
  const known = columns.get(key);
  if (known !== undefined) return known;
  const column = toSnake(key);
  columns.set(key, column);
  return column;
}

function toSnake(key: string): string {
  return key.replace(/[A-Z0-9]+/g, (part) => (/^\d/.test(part) ? part : `_${part.toLowerCase()}`));
}
