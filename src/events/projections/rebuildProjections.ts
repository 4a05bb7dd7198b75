/**
 * Rebuilds the projections from the events while gateways serve.
 *
 * First, all events are folded into shadow tables, page by page, without a lock. Then the lock `COMMITS` stops all commits
 * (`cellhouse_commit` takes it shared), the remaining events are folded, and the live tables are made equal to the
 * shadows: rows that differ are replaced, all others are left alone. Swapping the tables instead would leave the audit
 * views on the old ones and rename every constraint. The shadows are temporary tables, so a killed rebuild leaves
 * nothing behind.
 */

import {
  type EntityState,
  fold,
  hasEnded,
  STREAM_KINDS,
  type StreamKind,
} from '../../domain/entities.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import {
  type Client,
  type DatabaseAddress,
  type OneConnection,
  onOneConnection,
} from '../connection/client.ts';
import { readRelease, requireSameRelease } from '../migrations/migrate.ts';
import { COMMITS, LOCK_CLASS, REBUILD } from '../store/advisoryLocks.ts';
import { jsonArray } from '../store/preparedCommit.ts';
import { readAfter } from '../store/readEvents.ts';
import { PROJECTIONS, type Projection, rowJson } from './projections.ts';

/**
 * With pages of this size, the statements cost little compared with the folding. The events of a page fit into memory,
 * at 1 MiB of code each.
 */
const PAGE_EVENTS = 1_000;

export interface Rebuilt {
  readonly events: number;
  /**
   * How many rows of each table did not match the events. All are 0, unless something other than the store has written
   * to the tables.
   */
  readonly differing: Readonly<Record<string, number>>;
  /** How long commits were stopped. */
  readonly heldMs: number;
}

/** @throws Error when the database is away or the history is broken. The live tables are unchanged then. */
export async function rebuildProjections(address: DatabaseAddress): Promise<Rebuilt> {
  // One connection, because the temporary tables and the final transaction belong to a connection.
  const client = { name: 'rebuild', statementTimeoutMs: 0, lockTimeoutMs: 0 };
  return await onOneConnection(address, client, async (connection) => {
    await requireSameRelease(connection.sql, readRelease());
    return await rebuild(connection);
  });
}

async function rebuild(connection: OneConnection): Promise<Rebuilt> {
  const { sql, transaction } = connection;
  // Held until the connection ends.
  await sql`SELECT pg_advisory_lock(${LOCK_CLASS}, ${REBUILD})`;
  for (const projection of Object.values(PROJECTIONS)) {
    const { table } = projection;
    await sql`CREATE TEMPORARY TABLE ${sql(shadowOf(projection))} (LIKE ${sql(table)}, PRIMARY KEY (id))`;
  }
  const folding = createFolding(connection);
  await folding.readOn();
  const heldSince = performance.now();
  const differing: Record<string, number> = {};
  await transaction(async () => {
    await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${COMMITS})`;
    await folding.readOn();
    for (const projection of Object.values(PROJECTIONS))
      differing[projection.table] = await replaceDiffering(connection, projection);
  });
  return { events: folding.events(), differing, heldMs: performance.now() - heldSince };
}

/** The temporary table that a rebuild fills. */
const shadowOf = ({ table }: Projection) => `shadow_${table}`;

interface Folded {
  readonly state: EntityState;
  /** Position of the stream's first event. */
  readonly first: number;
}

/** Folds page by page. Streams that have not ended stay in memory; the others are in the shadow tables only. */
function createFolding(client: Client) {
  const live = new Map<string, Folded>();
  let position = 0;
  let count = 0;

  async function foldPage(events: readonly RecordedEvent[]): Promise<void> {
    const touched = new Map<string, { kind: StreamKind; folded: Folded }>();
    for (const { streamKind: kind, streamId: id, version, position: at, event } of events) {
      const before =
        live.get(id) ?? (version > 1 ? await readShadow(client, PROJECTIONS[kind], id) : null);
      const state = fold(kind, before?.state ?? null, [event]);
      const folded = { state, first: before?.first ?? at };
      live.set(id, folded);
      touched.set(id, { kind, folded });
      position = at;
    }
    for (const kind of STREAM_KINDS) {
      const rows = [...touched.values()].filter((item) => item.kind === kind);
      await writeShadow(
        client,
        PROJECTIONS[kind],
        rows.map(({ folded }) => folded),
      );
    }
    for (const [id, { kind, folded }] of touched) if (hasEnded(kind, folded.state)) live.delete(id);
  }

  return {
    events: () => count,
    /** Folds up to the newest event. */
    readOn: async () => {
      for (;;) {
        const page = await readAfter(client, position, PAGE_EVENTS);
        if (page.length === 0) return;
        await foldPage(page);
        count += page.length;
      }
    },
  };
}

async function readShadow(
  { sql }: Client,
  projection: Projection,
  id: string,
): Promise<Folded | null> {
  const { columns, firstPosition } = projection;
  const [row] = await sql`SELECT * FROM ${sql(shadowOf(projection))} WHERE id = ${id}`;
  if (!row) return null;
  const key = [...columns].find(([, name]) => name === firstPosition)?.[0] ?? '';
  const { [key]: first, ...state } = row;
  return { state: state as EntityState, first: Number(first ?? 0) };
}

async function writeShadow(
  { sql }: Client,
  projection: Projection,
  folded: readonly Folded[],
): Promise<void> {
  if (folded.length === 0) return;
  const shadow = shadowOf(projection);
  const rows = folded.map(({ state, first }) => rowJson(projection.kind, state, first));
  await sql`DELETE FROM ${sql(shadow)} WHERE id = ANY (${folded.map(({ state }) => state.id)}::uuid[])`;
  await sql`
    INSERT INTO ${sql(shadow)}
    SELECT * FROM json_populate_recordset(NULL::${sql(shadow)}, ${jsonArray(rows)}::text::json)`;
}

/**
 * Resolves with the number of rows that were wrong, missing or superfluous. A pruned stream has no events any more, so
 * its row is left alone.
 */
async function replaceDiffering({ sql }: Client, projection: Projection): Promise<number> {
  const { kind, table } = projection;
  const shadow = shadowOf(projection);
  const deleted = await sql`
    DELETE FROM ${sql(table)} t WHERE NOT EXISTS (
      SELECT FROM ${sql(shadow)} s WHERE s.id = t.id AND ROW(s.*) IS NOT DISTINCT FROM ROW(t.*))
      AND NOT EXISTS (SELECT FROM pruned_streams p WHERE p.stream_id = ${`${kind}-`} || t.id)
    RETURNING t.id`;
  const inserted = await sql`
    INSERT INTO ${sql(table)} SELECT s.* FROM ${sql(shadow)} s
    WHERE NOT EXISTS (SELECT FROM ${sql(table)} t WHERE t.id = s.id)
    RETURNING id`;
  return new Set([...deleted, ...inserted].map(({ id }) => id)).size;
}
