import type { Execution, Session, Worker } from '../states.ts';

/** A projection's row as JSON for `json_populate_record`: the state with its columns' names. */
export function projectionRow(
  state: Worker | Session | Execution,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const row: Record<string, unknown> = { ...more };
  for (const [key, value] of Object.entries(state)) row[toSnake(key)] = value;
  return row;
}

function toSnake(key: string): string {
  return key.replace(/[A-Z0-9]+/g, (part) => (/^\d/.test(part) ? part : `_${part.toLowerCase()}`));
}
