/**
 * Where each entity's states are kept: the store's half of `domain/entities.ts`. A row is a state, key for key, and the compiler
 * says so. What writes, rebuilds and prunes rows follows from this table, also in the database
 * (`migrations/sql/cellhouse_make_projections.sql`).
 */
import { getTableColumns, getTableName } from 'drizzle-orm';
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core';
import { ENTITIES, STREAM_KINDS, type StateOf, type StreamKind } from '../../domain/entities.ts';
import { executions, sessions, workers } from '../tables.ts';

const TABLES: { readonly [K in StreamKind]: ProjectionTable<K> } = {
  worker: { table: workers },
  session: { table: sessions },
  execution: { table: executions, firstPosition: executions.requestedPosition },
};

interface ProjectionTable<K extends StreamKind> {
  readonly table: PgTable & { readonly $inferSelect: Readonly<Record<keyof StateOf<K>, unknown>> };
  /** A column that is not of the state: the position of its first event, so the order in which all of the kind began. */
  readonly firstPosition?: AnyPgColumn;
}

export interface Projection {
  readonly kind: StreamKind;
  readonly table: string;
  /** The column of each key of the state. */
  readonly columns: ReadonlyMap<string, string>;
  /** Column of the time at which it ended, for kinds that end. */
  readonly endedAt: string | null;
  /** Column of the position of its first event, if there is one. */
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
    endedAt: columns.get(ENTITIES[kind].endedAt ?? '') ?? null,
    firstPosition: firstPosition?.name ?? null,
  };
}
