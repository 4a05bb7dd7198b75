/**
 * Makes the projections anew from the events, while gateways serve.
 *
 * First all events are folded into shadow tables, page by page, with nothing locked. Then commits are held at their gate
 * (`cellhouse_commit` shares it), the rest is folded, and the live tables are made equal to the shadows: rows that differ
 * are replaced, all others are not touched. Exchanging the tables themselves would leave the audit views on the old ones
 * and rename every constraint. The shadows are temporary tables: nothing is left behind by a rebuild that was killed.
 */

import type { RecordedEvent, StreamKind } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { type Client, createClient } from '../connection/client.ts';
import type { DatabaseAddress } from '../connection/databaseAddress.ts';
import { GATE, GATE_CLASS } from '../store/gate.ts';
import { jsonArray } from '../store/jsonArray.ts';
import { readAfter } from '../store/readEvents.ts';
import { foldRecorded } from './fold.ts';
import { projectionJson } from './projectionJson.ts';
import { SHADOWS, type Shadow } from './shadows.ts';

/** Large enough that statements cost little beside the fold, small enough to hold in memory with a megabyte of code each. */
const PAGE_EVENTS = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;

export interface Rebuilt {
  readonly events: number;
  /** How many rows were not what the events say; all zero unless something wrote past the store. */
  readonly differing: Readonly<Record<'workers' | 'sessions' | 'executions', number>>;
  /** How long commits were held. */
  readonly heldMs: number;
}

/** @throws Error when the database is away or the history is broken; the live tables are as they were then */
export async function rebuildProjections(address: DatabaseAddress): Promise<Rebuilt> {
  // One connection: the temporary tables and the final transaction are its own.
  const client = createClient(address, {
    name: 'rebuild',
    maxConnections: 1,
    statementTimeoutMs: 0,
    lockTimeoutMs: 0,
  });
  try {
    return await rebuild(client);
  } finally {
    await client.close(CLOSE_TIMEOUT_MS);
  }
}

async function rebuild(client: Client): Promise<Rebuilt> {
  const { sql } = client;
  for (const { table, shadow } of Object.values(SHADOWS)) {
    await sql`CREATE TEMPORARY TABLE ${sql(shadow)} (LIKE ${sql(table)}, PRIMARY KEY (id))`;
  }
  const fold = createFold(client);
  await fold.readOn();
  await sql`BEGIN`;
  const heldSince = performance.now();
  await sql`SELECT pg_advisory_xact_lock(${GATE_CLASS}, ${GATE})`;
  await fold.readOn();
  const differing = {
    workers: await replaceDiffering(client, SHADOWS.worker),
    sessions: await replaceDiffering(client, SHADOWS.session),
    executions: await replaceDiffering(client, SHADOWS.execution),
  };
  await sql`COMMIT`;
  return { events: fold.events(), differing, heldMs: performance.now() - heldSince };
}

interface Folded {
  readonly state: Worker | Session | Execution;
  /** Position of the stream's first event. */
  readonly first: number;
}

/** Folds page by page. Only streams that have not ended stay in memory; the others are in the shadows. */
function createFold(client: Client) {
  const live = new Map<string, Folded>();
  let position = 0;
  let count = 0;

  async function foldPage(events: readonly RecordedEvent[]): Promise<void> {
    const touched = new Map<string, { kind: StreamKind; folded: Folded }>();
    for (const event of events) {
      const { streamKind: kind, streamId: id } = event;
      const before =
        live.get(id) ?? (event.version > 1 ? await readShadow(client, SHADOWS[kind], id) : null);
      const state = foldRecorded(before?.state ?? null, event);
      const folded = { state, first: before?.first ?? event.position };
      live.set(id, folded);
      touched.set(id, { kind, folded });
      position = event.position;
    }
    for (const kind of Object.keys(SHADOWS) as StreamKind[]) {
      const rows = [...touched.values()].filter((item) => item.kind === kind);
      await writeShadow(
        client,
        SHADOWS[kind],
        rows.map(({ folded }) => folded),
      );
    }
    for (const [id, { folded }] of touched) if (hasEnded(folded.state)) live.delete(id);
  }

  return {
    events: () => count,
    /** Up to the last event there is. */
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

function hasEnded(state: Worker | Session | Execution): boolean {
  if ('removedAt' in state) return state.removedAt !== null;
  return 'closedAt' in state ? state.closedAt !== null : state.finishedAt !== null;
}

async function readShadow({ sql }: Client, shadow: Shadow, id: string): Promise<Folded | null> {
  const [row] = await sql`SELECT * FROM ${sql(shadow.shadow)} WHERE id = ${id}`;
  if (!row) return null;
  const { requestedPosition, ...state } = row;
  return { state: state as Worker | Session | Execution, first: Number(requestedPosition ?? 0) };
}

async function writeShadow(
  { sql }: Client,
  { shadow, hasPosition }: Shadow,
  folded: readonly Folded[],
): Promise<void> {
  if (folded.length === 0) return;
  const rows = folded.map(({ state, first }) =>
    projectionJson(state, hasPosition ? { requested_position: first } : {}),
  );
  await sql`DELETE FROM ${sql(shadow)} WHERE id = ANY (${folded.map(({ state }) => state.id)}::uuid[])`;
  await sql`
    INSERT INTO ${sql(shadow)}
    SELECT * FROM json_populate_recordset(NULL::${sql(shadow)}, ${jsonArray(rows)}::text::json)`;
}

/** Resolves with the number of rows that were wrong, missing or too many. Of pruned streams only the row is left: it stays. */
async function replaceDiffering({ sql }: Client, { kind, table, shadow }: Shadow): Promise<number> {
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
