/**
 * The table of each entity: the store's counterpart of `domain/entities.ts`. A row has the keys of the state, and the
 * compiler checks that. The code that writes, rebuilds and prunes rows is driven by this list, and so are the functions
 * in the database (`migrations/sql/cellhouse_make_projections.sql`).
 */
import { getTableColumns, getTableName } from 'drizzle-orm';
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core';
import {
  ENTITIES,
  type EntityState,
  STREAM_KINDS,
  type StateOf,
  type StreamKind,
} from '../../domain/entities.ts';
import {
  contexts,
  environments,
  executions,
  fileChanges,
  notebooks,
  quotas,
  removals,
  sessions,
  tokens,
  workers,
} from '../tables.ts';

const TABLES: { readonly [K in StreamKind]: ProjectionTable<K> } = {
  worker: { table: workers },
  session: { table: sessions },
  context: { table: contexts },
  execution: { table: executions, firstPosition: executions.requestedPosition },
  fileChange: { table: fileChanges, firstPosition: fileChanges.requestedPosition },
  notebook: { table: notebooks },
  quota: { table: quotas },
  token: { table: tokens },
  removal: { table: removals },
  environment: { table: environments },
};

interface ProjectionTable<K extends StreamKind> {
  readonly table: PgTable & { readonly $inferSelect: Readonly<Record<keyof StateOf<K>, unknown>> };
  /** The column for the position of its first event, which orders all rows of the kind. Not part of the state. */
  readonly firstPosition?: AnyPgColumn;
}

export interface Projection {
  readonly kind: StreamKind;
  readonly table: string;
  /** Column names by the keys of the state. */
  readonly columns: ReadonlyMap<string, string>;
  /** The value of each column that a new row may leave out, by the keys of the state. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** The column for the time at which it ended. Null for kinds that never end. */
  readonly endedAt: string | null;
  /** The column for the position of its first event, if the table has one. */
  readonly firstPosition: string | null;
}

export const PROJECTIONS: Readonly<Record<StreamKind, Projection>> = Object.fromEntries(
  STREAM_KINDS.map((kind) => [kind, projectionOf(kind)]),
) as Record<StreamKind, Projection>;

function projectionOf(kind: StreamKind): Projection {
  const { table, firstPosition }: ProjectionTable<never> = TABLES[kind];
  const columns = new Map(
    Object.entries(getTableColumns(table)).map(([key, { name }]) => [key, name]),
  );
  return {
    kind,
    table: getTableName(table),
    columns,
    defaults: defaultsOf(table),
    endedAt: columns.get(ENTITIES[kind].endedAt ?? '') ?? null,
    firstPosition: firstPosition?.name ?? null,
  };
}

function defaultsOf(table: PgTable): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(getTableColumns(table))
      .filter(([, { hasDefault, notNull }]) => hasDefault || !notNull)
      .map(([key, column]) => [key, column.hasDefault ? column.default : null]),
  );
}

/** For each kind: the keys of its state, each with its column's name as JSON text (`"name":`). */
const KEYS = new Map<StreamKind, ReadonlyMap<string, string>>(
  STREAM_KINDS.map((kind) => [
    kind,
    new Map([...PROJECTIONS[kind].columns].map(([key, name]) => [key, `"${name}":`])),
  ]),
);

/**
 * A whole row of a projection, as JSON. `position` goes into the column for the position of the first event, if the
 * table has one.
 */
export function rowJson(kind: StreamKind, state: EntityState, position: number): string {
  return row(kind, state, position, {});
}

/** A new row without the columns that get their value by default, in the form that `cellhouse_add_rows` takes. */
export function newRowJson(kind: StreamKind, state: EntityState, position: number): string {
  return row(kind, state, position, PROJECTIONS[kind].defaults);
}

function row(
  kind: StreamKind,
  state: EntityState,
  position: number,
  defaults: Readonly<Record<string, unknown>>,
): string {
  const { firstPosition } = PROJECTIONS[kind];
  const columns = columnsOf(kind, state, defaults);
  return `{${firstPosition === null ? '' : `"${firstPosition}":${position},`}${columns}}`;
}

/** The changes of a row, in the form that `cellhouse_change_rows` takes. */
export function changeJson(kind: StreamKind, before: EntityState, after: EntityState): string {
  const { id, version } = before;
  return `{"id":"${id}","expected_version":${version},"changes":{${columnsOf(kind, after, before)}}}`;
}

/**
 * The columns whose values differ from `before`. Values that `evolve` did not change are identical (`===`). The JSON is
 * built as text: to build an object key by key and stringify it takes three times as long.
 */
function columnsOf(
  kind: StreamKind,
  after: EntityState,
  before: Partial<EntityState> | Readonly<Record<string, unknown>>,
): string {
  const was: Readonly<Record<string, unknown>> = before;
  const keys = KEYS.get(kind);
  let text = '';
  for (const [key, value] of Object.entries(after)) {
    if (value === was[key] || value === undefined) continue;
    const column = keys?.get(key);
    if (column === undefined) continue;
    text += `${text === '' ? '' : ','}${column}${JSON.stringify(value)}`;
  }
  return text;
}
