import { getTableColumns } from 'drizzle-orm';
import type { Execution, Session, Worker } from '../states.ts';
import { executions, sessions, workers } from '../tables.ts';

/** What each key of a state is called in its table. */
const COLUMNS: ReadonlyMap<string, string> = new Map(
  [workers, sessions, executions].flatMap((table) =>
    Object.entries(getTableColumns(table)).map(([key, { name }]) => [key, name] as const),
  ),
);

/** A projection's row as JSON for `json_populate_record`: the state with its columns' names. */
export function projectionRow(
  state: Worker | Session | Execution,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const row: Record<string, unknown> = { ...more };
  for (const [key, value] of Object.entries(state)) row[COLUMNS.get(key) ?? key] = value;
  return row;
}
