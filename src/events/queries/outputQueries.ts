import type { ExecutionId } from '../../domain/ids.ts';
import type {
  Finish,
  Output,
  OutputBounds,
  OutputCursor,
  OutputItem,
  OutputsRead,
} from '../../domain/output.ts';
import type { Client } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';

interface OutputRow {
  readonly executionId: ExecutionId;
  readonly seq: number;
  readonly at: Date;
  readonly body: Output | Finish;
  readonly bytes: number;
}

/** The last stored seq (0 if there is none), and whether it is the finish. */
interface OutputEnd {
  readonly lastSeq: number;
  readonly isFinished: boolean;
}

/** Outputs in pages. Outputs that this gateway has in memory (freshOutputs.ts) are not read from the database. */
export function createOutputQueries(client: Client, freshOutputs: FreshOutputs) {
  return { ...ofExecution(client, freshOutputs), ...ofUser(client, freshOutputs) };
}

function ofExecution({ sql, answered }: Client, freshOutputs: FreshOutputs) {
  async function outputEnd(executionId: ExecutionId): Promise<OutputEnd> {
    const [row] = await answered(sql<{ seq: number; kind: string }[]>`
      SELECT seq, kind FROM output_events WHERE execution_id = ${executionId}
      ORDER BY seq DESC LIMIT 1`);
    return { lastSeq: row?.seq ?? 0, isFinished: row?.kind === 'finish' };
  }

  return {
    outputEnd,

    /** The execution's outputs after the cursor, the finish included. */
    outputs: async (cursor: OutputCursor, bounds: OutputBounds): Promise<OutputsRead> => {
      const fresh = freshOutputs.ofExecution(cursor, bounds);
      if (fresh !== null) return fresh;
      const { executionId, seq: after } = cursor;
      // Sizes are read first, and bodies only for the result: a body can be megabytes.
      const rows = await answered(sql<OutputRow[]>`
        WITH sized AS (
          SELECT seq, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_before
          FROM (
            SELECT seq, bytes FROM output_events
            WHERE execution_id = ${executionId} AND seq > ${after} ORDER BY seq LIMIT ${bounds.limit}
          ) page
        )
        SELECT o.execution_id, o.seq, o.at, o.body, o.bytes FROM sized s
        JOIN output_events o ON o.execution_id = ${executionId} AND o.seq = s.seq
        WHERE s.bytes_before < ${bounds.maxBytes} ORDER BY o.seq`);
      const items = remembered(freshOutputs, cursor, rows);
      const last = items.at(-1);
      if (last) return { items, isEnd: last.output.kind === 'finish' };
      const end = await outputEnd(executionId);
      return { items, isEnd: end.isFinished && end.lastSeq <= after };
    },
  };
}

function ofUser({ sql, answered }: Client, freshOutputs: FreshOutputs) {
  return {
    /**
     * Outputs of all the user's executions after `after` (null: from the first), in the order in which the executions
     * were accepted, and by seq within each. Outputs of a later execution are held back until the finish of the earlier
     * one was given. Otherwise a cursor could skip outputs: a queued execution can be cancelled, and so finish, while
     * an earlier one runs.
     * @param after names an execution of this user. The caller must have checked that.
     */
    userOutputs: async (
      tenant: string,
      userUuid: string,
      after: OutputCursor | null,
      bounds: OutputBounds,
    ): Promise<OutputsRead> => {
      const fresh = after && freshOutputs.ofUser(after, bounds);
      if (fresh) return fresh;
      const from = after ?? { executionId: null, seq: 0 };
      const rows = await answered(sql<OutputRow[]>`
        WITH start AS (
          SELECT coalesce((SELECT requested_position FROM executions
            WHERE id = ${from.executionId} AND tenant = ${tenant} AND user_uuid = ${userUuid}), 0) AS position
        ), head AS (
          -- The oldest unfinished execution. Outputs of executions after it are held back.
          SELECT min(x.requested_position) AS position FROM executions x, start
          WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid} AND x.finished_at IS NULL
            AND x.requested_position >= start.position
        ), page AS (
          SELECT x.requested_position, o.execution_id, o.seq, o.bytes
          FROM start, head, executions x JOIN output_events o ON o.execution_id = x.id
          WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid}
            AND x.requested_position >= start.position
            AND (head.position IS NULL OR x.requested_position <= head.position)
            AND (x.requested_position > start.position OR o.seq > ${from.seq})
          ORDER BY x.requested_position, o.seq LIMIT ${bounds.limit}
        ), sized AS (
          SELECT *, sum(bytes) OVER (ORDER BY requested_position, seq) - bytes AS bytes_before FROM page
        )
        SELECT o.execution_id, o.seq, o.at, o.body, o.bytes FROM sized s
        JOIN output_events o ON o.execution_id = s.execution_id AND o.seq = s.seq
        WHERE s.bytes_before < ${bounds.maxBytes} ORDER BY s.requested_position, s.seq`);
      return { items: remembered(freshOutputs, after, rows), isEnd: false };
    },

    /**
     * The cursor for "from now on": {@link userOutputs} after it gives only outputs that are not stored yet. Null if
     * the user has no executions: null is then also the right cursor.
     */
    userOutputEnd: async (tenant: string, userUuid: string): Promise<OutputCursor | null> => {
      // The oldest unfinished execution if there is one, else the newest of all.
      const [row] = await answered(sql<{ executionId: ExecutionId; seq: number }[]>`
        SELECT x.id AS execution_id,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS seq
        FROM executions x WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid}
          AND x.requested_position = (
            SELECT coalesce(min(requested_position) FILTER (WHERE finished_at IS NULL), max(requested_position))
            FROM executions WHERE tenant = ${tenant} AND user_uuid = ${userUuid})`);
      return row ?? null;
    },
  };
}

function remembered(
  freshOutputs: FreshOutputs,
  after: OutputCursor | null,
  rows: readonly OutputRow[],
): OutputItem[] {
  const sized = rows.map(({ body, bytes, ...item }) => ({
    item: { ...item, output: body },
    bytes,
  }));
  freshOutputs.read(after, sized);
  return sized.map(({ item }) => item);
}
