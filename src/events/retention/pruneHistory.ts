/**
 * Deletes old history: outputs, and the events of streams that have ended. The rows of the projections stay forever,
 * because auditors need them (who ran what, when, at what cost, how it ended). Gateways may serve meanwhile.
 *
 * A stream is deleted whole or not at all. One transaction deletes its events and outputs, notes that a rebuild must
 * leave its row alone, and records the removal (HistoryPruned), so that the audit chain can still be verified. All
 * events are sealed first, and only streams whose last event is sealed are deleted. The stream of the newest event
 * always stays: the next position is counted from that event. Old counts of refused calls and of egress are deleted,
 * too. They are not archived.
 */
import type { PendingQuery, Row } from 'postgres';
import { STREAM_KINDS } from '../../domain/entities.ts';
import { streamIdOf } from '../../domain/events.ts';
import type { ExecutionId, GatewayId, NewId } from '../../domain/ids.ts';
import {
  type DatabaseAddress,
  type OneConnection,
  onOneConnection,
  type Sql,
} from '../connection/client.ts';
import { readRelease, requireSameRelease } from '../migrations/migrate.ts';
import { PROJECTIONS, type Projection } from '../projections/projections.ts';
import {
  bytesInEvents,
  lockRemoval,
  type Remover,
  recordRemoval,
  type Sized,
  sealEverything,
  withinBytes,
} from './removal.ts';

/** Streams in one transaction: enough to be quick, and few enough to block nobody. */
const BATCH_STREAMS = 200;
/**
 * Limit for the events and outputs of a transaction, which are read for the archive. By default, each stream may have
 * 16 MiB of input (MAX_INPUT_BYTES) and 32 MiB of output (MAX_OUTPUT_BYTES).
 */
const BATCH_BYTES = 64 * 1024 * 1024;

export interface PruneOptions {
  /** Prunes only streams that ended before this time. */
  readonly before: Date;
  /**
   * Gets the rows that are about to be deleted, one JSON object a line (see {@link pruneHistory}), and resolves when
   * they are safely stored. If the process dies before the deletion is committed, the next run passes the same rows
   * again. Null: no archive is kept.
   */
  readonly archive: ((lines: readonly string[]) => Promise<void>) | null;
  readonly newId: NewId;
}

interface Pruning extends PruneOptions, Remover {
  /** The position of the last event that is sealed. */
  readonly sealed: number;
}

/** How much was deleted: streams by the table of their projection, and rows of events and outputs. */
type Pruned = Readonly<Record<string, number>> & {
  readonly events: number;
  readonly outputs: number;
};

/**
 * Prunes every stream that ended before the given time. A line of the archive is a row as JSON:
 * `{"table": "events" | "output_events", "row": {...}}`.
 * @throws Error when the database is away or the archive cannot be written. Batches committed by then stay pruned.
 */
export async function pruneHistory(
  address: DatabaseAddress,
  options: PruneOptions,
): Promise<Pruned> {
  // This waits for a page of `forget` and for the end of a rebuild, which may take long.
  const client = { name: 'prune', statementTimeoutMs: 0, lockTimeoutMs: 0 };
  return await onOneConnection(address, client, (connection) => pruneAll(connection, options));
}

async function pruneAll(connection: OneConnection, options: PruneOptions): Promise<Pruned> {
  const { answered, sql } = connection;
  await requireSameRelease(sql, readRelease());
  const gatewayId = options.newId<GatewayId>();
  const sealed = await sealEverything(connection, gatewayId);
  const pruning = { ...options, gatewayId, sealed };
  const streams: Record<string, number> = {};
  let [events, outputs] = [0, 0];
  for (const projection of STREAM_KINDS.map((kind) => PROJECTIONS[kind])) {
    const pruned = await pruneKind(connection, projection, pruning);
    streams[projection.table] = pruned.streams;
    events += pruned.events;
    outputs += pruned.outputs;
  }
  await answered(sql`DELETE FROM refused_calls WHERE minute < ${options.before}`);
  await answered(sql`DELETE FROM egress_counts WHERE minute < ${options.before}`);
  return { ...streams, events, outputs };
}

interface Batch {
  readonly lastId: string | null;
  readonly streams: number;
  readonly events: number;
  readonly outputs: number;
}

const NOTHING: Batch = { lastId: null, streams: 0, events: 0, outputs: 0 };

async function pruneKind(
  { transaction }: OneConnection,
  projection: Projection,
  options: Pruning,
): Promise<Batch> {
  let total = NOTHING;
  for (;;) {
    const { lastId } = total;
    const batch = await transaction((sql) => pruneBatch(sql, projection, options, lastId));
    if (batch.streams === 0) return total;
    total = {
      lastId: batch.lastId,
      streams: total.streams + batch.streams,
      events: total.events + batch.events,
      outputs: total.outputs + batch.outputs,
    };
  }
}

async function pruneBatch(
  sql: Sql,
  projection: Projection,
  pruning: Pruning,
  after: string | null,
): Promise<Batch> {
  await lockRemoval(sql);
  const { kind } = projection;
  const { before, archive } = pruning;
  const ended = withinBytes(
    await endedBefore(sql, projection, pruning, after),
    BATCH_BYTES,
    (row) => bytesInEvents(row) + (row.outputBytes ?? 0),
  );
  const ids = ended.map(({ id }) => id);
  const lastId = ids.at(-1);
  if (lastId === undefined) return NOTHING;
  const streamIds = ids.map((id) => streamIdOf(kind, id));
  const isArchived = archive !== null;
  const events = await sql<{ position: number; line: string | null }[]>`
    DELETE FROM events e WHERE e.stream_id = ANY (${streamIds}::text[])
    RETURNING e.position,
      CASE WHEN ${isArchived} THEN json_build_object('table', 'events', 'row', row_to_json(e))::text END AS line`;
  // The log of a build is stored as the output of the environment's version.
  const printed = kind === 'execution' || kind === 'environment' ? ids : [];
  const lines = isArchived && printed.length > 0 ? await outputLines(sql, printed) : [];
  const outputs = await pruneOutputs(sql, printed, 'pruned');
  await sql`INSERT INTO pruned_streams (stream_id) SELECT unnest(${streamIds}::text[])`;
  // The archive is written late: from here on, only a lost connection can undo the deletion. It is written before
  // `recordRemoval` takes the append lock, because a disk may be slow. So only other removals and rebuilds wait for a
  // slow disk.
  if (archive) {
    await sql`SET LOCAL idle_in_transaction_session_timeout = 0`;
    await archive([...events.flatMap(({ line }) => line ?? []), ...lines]);
    await sql`SET LOCAL idle_in_transaction_session_timeout TO DEFAULT`;
  }
  await recordRemoval(
    sql,
    pruning,
    {
      ...{ type: 'RecordPruning', before: before.toISOString(), streams: ids.length },
      ...{ outputs, isArchived },
      ...(kind === 'execution' && { executionIds: ids as ExecutionId[] }),
    },
    events.map(({ position }) => ({ position, left: null })),
  );
  return { lastId, streams: ids.length, events: events.length, outputs };
}

interface Ended extends Sized {
  readonly id: string;
}

/** The next batch, in ascending order of ids, so that no row is looked at twice. */
async function endedBefore(
  sql: Sql,
  { kind, table, endedAt }: Projection,
  { before, sealed }: Pruning,
  after: string | null,
): Promise<readonly Ended[]> {
  if (endedAt === null) return [];
  const end = endOf(sql, kind, sql`t.${sql(endedAt)}`);
  const sizes = sizesOf(sql, kind);
  return await sql<Ended[]>`
    SELECT t.id, ${sizes} FROM ${sql(table)} t
    WHERE ${end} < ${before} AND (${after}::uuid IS NULL OR t.id > ${after}::uuid)
      AND NOT EXISTS (SELECT FROM pruned_streams p WHERE p.stream_id = ${`${kind}-`} || t.id)
      AND NOT EXISTS (SELECT FROM events e WHERE e.stream_id = ${`${kind}-`} || t.id AND e.position > ${sealed})
      AND ${`${kind}-`} || t.id <> (SELECT e.stream_id FROM events e ORDER BY e.position DESC LIMIT 1)
    ORDER BY t.id LIMIT ${BATCH_STREAMS}`;
}

function sizesOf(sql: Sql, kind: Projection['kind']): Fragment {
  switch (kind) {
    case 'execution':
      return sql`t.code_bytes, t.input_bytes, t.output_bytes`;
    case 'environment':
      return sql`(SELECT coalesce(sum(o.bytes), 0)::float8 FROM output_events o WHERE o.execution_id = t.id)
        AS output_bytes`;
    default:
      return sql`0 AS code_bytes`;
  }
}

type Fragment = PendingQuery<Row[]>;

/**
 * A change of a file has no outcome if its gateway was killed. Once its session is closed, no outcome can follow,
 * because the worker is gone. So the change counts as ended with the session. A notebook that nobody closed ended with
 * its context.
 */
function endOf(sql: Sql, kind: Projection['kind'], recordedEnd: Fragment): Fragment {
  switch (kind) {
    case 'fileChange':
      return sql`coalesce(${recordedEnd}, (SELECT s.closed_at FROM sessions s WHERE s.id = t.session_id))`;
    case 'notebook':
      return sql`coalesce(${recordedEnd},
        (SELECT s.closed_at FROM sessions s WHERE s.id = t.context_id),
        (SELECT c.ended_at FROM contexts c WHERE c.id = t.context_id))`;
    default:
      return recordedEnd;
  }
}

/** `GapOutput.reason` of the gap that replaces removed output. */
const GAP_REASONS = ['pruned', 'forgotten'] as const;
type GapReason = (typeof GAP_REASONS)[number];

/** The outputs of executions, without their finishes: one JSON object each, in order. */
async function outputLines(sql: Sql, executionIds: readonly string[]): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT json_build_object('table', 'output_events', 'row', row_to_json(o))::text AS line
    FROM output_events o WHERE o.execution_id = ANY (${executionIds}::uuid[]) AND o.kind <> 'finish'
    ORDER BY o.execution_id, o.seq`;
  return rows.map(({ line }) => line);
}

/**
 * Deletes the outputs of finished executions. The finish stays. The last output before it becomes a gap that says how
 * many bytes are gone, so that readers notice. A gap from an earlier removal stays as it is, because it has the size of
 * the original output.
 * @returns how many outputs there were
 */
export async function pruneOutputs(
  sql: Sql,
  executionIds: readonly string[],
  reason: GapReason,
): Promise<number> {
  const [found] = await sql<{ count: number }[]>`
    WITH last AS (
      SELECT o.execution_id, max(o.seq) AS seq, sum(o.bytes) AS bytes, count(*) AS count
      FROM output_events o WHERE o.execution_id = ANY (${executionIds}::uuid[])
        -- The bodies of other kinds are not searched: their JSON may contain a character that the type text of
        -- PostgreSQL refuses.
        AND CASE o.kind WHEN 'finish' THEN false
          WHEN 'gap' THEN o.body ->> 'reason' <> ALL (${[...GAP_REASONS]}::text[]) ELSE true END
      GROUP BY o.execution_id
    ), reported AS (
      UPDATE output_events o SET kind = 'gap', body = b.body, bytes = length(b.body::text)
      FROM last l, json_build_object('kind', 'gap', 'reason', ${reason}::text, 'droppedBytes', l.bytes) AS b (body)
      WHERE o.execution_id = l.execution_id AND o.seq = l.seq
    ), deleted AS (
      DELETE FROM output_events o USING last l
      WHERE o.execution_id = l.execution_id AND o.seq < l.seq
    )
    SELECT coalesce(sum(l.count), 0)::bigint AS count FROM last l`;
  return found?.count ?? 0;
}
