/** Queries of executions: their states, requests of users to them, input and output. */

import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import {
  contentOfPiece,
  type Execution,
  type FoundCommand,
  type InputPiece,
  type RunningCommand,
} from '../../domain/execution.ts';
import type { UserExpression } from '../../domain/executionOptions.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type {
  Finish,
  InputRequest,
  Output,
  OutputBounds,
  OutputCursor,
  OutputItem,
  OutputsRead,
} from '../../domain/output.ts';
import type { Session } from '../../domain/session.ts';
import type { Client } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';
import { decodeJson } from '../store/preparedCommit.ts';
import { decodeEvent, type EventRow } from '../store/readEvents.ts';
import { type ExecutionRow, firstOrNull, toExecution } from './listQueries.ts';

export interface UnfinishedExecution {
  readonly execution: Execution;
  readonly code: string;
  /** Left out if there are none. */
  readonly userExpressions?: readonly UserExpression[];
  /** Seq of the last stored output; 0 if there is none. */
  readonly lastSeq: number;
}

/** Columns that are not in the row of an execution: two from its first event, and the seq of its last output. */
interface RequestRow {
  readonly code: unknown;
  readonly userExpressions: unknown;
  readonly lastSeq: number;
}

interface KeyHolder {
  readonly executionId: ExecutionId;
  readonly requestHash: string;
}

export function createExecutionQueries({ sql, answered }: Client) {
  return {
    execution: async (id: ExecutionId): Promise<Execution | null> => {
      const [row] = await answered(sql<ExecutionRow[]>`SELECT * FROM executions WHERE id = ${id}`);
      return row ? toExecution(row) : null;
    },

    /** The owner of an execution, and the position of its request. Null if there is no such execution. */
    executionPlace: async (
      id: ExecutionId,
    ): Promise<{ tenant: string; userUuid: string; position: number } | null> =>
      firstOrNull(
        await answered(sql<{ tenant: string; userUuid: string; position: number }[]>`
          SELECT tenant, user_uuid, requested_position AS position FROM executions WHERE id = ${id}`),
      ),

    /** How many executions of the tenant have not ended: those that wait for their turn, and those that run. */
    unfinishedOfTenant: async (tenant: string): Promise<{ queued: number; running: number }> => {
      const [row] = await answered(sql<{ queued: number; running: number }[]>`
        SELECT (count(*) FILTER (WHERE started_at IS NULL))::int AS queued,
          (count(*) FILTER (WHERE started_at IS NOT NULL))::int AS running
        FROM executions WHERE tenant = ${tenant} AND finished_at IS NULL`);
      return row ?? { queued: 0, running: 0 };
    },

    /** The worker's queued and running executions with their code, in the order in which they were accepted. */
    unfinishedExecutions: async (workerId: WorkerId): Promise<UnfinishedExecution[]> => {
      const rows = await answered(sql<(ExecutionRow & RequestRow)[]>`
        SELECT x.*, e.data -> 'code' AS code, e.data -> 'userExpressions' AS user_expressions,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS last_seq
        FROM executions x
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE x.worker_id = ${workerId} AND x.finished_at IS NULL
        ORDER BY x.requested_position`);
      return rows.map(({ code, userExpressions, lastSeq, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
        ...(userExpressions !== null && {
          userExpressions: decodeJson(userExpressions) as readonly UserExpression[],
        }),
        lastSeq,
      }));
    },

    /** Like `unfinishedExecutions`, but without code. */
    unfinishedStates: async (workerId: WorkerId): Promise<Execution[]> => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions WHERE worker_id = ${workerId} AND finished_at IS NULL
        ORDER BY requested_position`);
      return rows.map(toExecution);
    },

    /** The running commands of a session with their code, in the order in which they were accepted. */
    runningCommands: async (
      session: Pick<Session, 'id' | 'workerId'>,
    ): Promise<RunningCommand[]> => {
      const rows = await answered(sql<(ExecutionRow & Pick<RequestRow, 'code'>)[]>`
        SELECT x.*, e.data -> 'code' AS code
        FROM executions x
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE x.worker_id = ${session.workerId} AND x.session_id = ${session.id}
          AND x.finished_at IS NULL AND x.started_at IS NOT NULL AND x.language = 'BASH'
        ORDER BY x.requested_position`);
      return rows.map(({ code, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
      }));
    },

    /**
     * The command of a session with this process id or label: the one that runs, else the latest of those that have
     * ended within the last `endedWithinMs`. The system reuses a process id only after many others.
     */
    commandNamed: async (
      sessionId: SessionId,
      { pid, label }: { readonly pid: number | null; readonly label: string | null },
      endedWithinMs: number,
    ): Promise<FoundCommand | null> => {
      const [row] = await answered(sql<(ExecutionRow & Pick<RequestRow, 'lastSeq'>)[]>`
        SELECT x.*,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS last_seq
        FROM executions x
        WHERE session_id = ${sessionId} AND pid IS NOT NULL
          AND (pid = ${pid} OR options ->> 'label' = ${label})
          AND (finished_at IS NULL OR finished_at > clock_timestamp() - ${endedWithinMs} * interval '1 ms')
        ORDER BY finished_at IS NULL DESC, requested_position DESC LIMIT 1`);
      if (!row) return null;
      const { lastSeq, ...execution } = row;
      return { execution: toExecution(execution), lastSeq };
    },

    /**
     * The values of the execution's environment variables. Null if there are none; they are deleted when the execution
     * ends.
     */
    executionVariables: async (
      id: ExecutionId,
    ): Promise<Readonly<Record<string, string>> | null> => {
      const rows = await answered(sql<{ name: string; value: string }[]>`
        SELECT name, value FROM execution_variables WHERE execution_id = ${id}`);
      if (rows.length === 0) return null;
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    },

    /**
     * Deletes the variables and secret inputs of executions that have ended. A trigger does this at their end, too, but
     * not if a rebuild of the projections ended them.
     */
    deleteLeftOfExecutions: async (): Promise<void> => {
      for (const table of ['execution_variables', 'execution_inputs'])
        await answered(sql`
          DELETE FROM ${sql(table)} v
          WHERE NOT EXISTS (SELECT FROM executions x WHERE x.id = v.execution_id AND x.finished_at IS NULL)`);
    },

    /** The execution that holds the key. Null if the key is unused, or was deleted after its time. */
    idempotencyKey: async (
      tenant: string,
      userUuid: string,
      key: string,
    ): Promise<KeyHolder | null> =>
      firstOrNull(
        await answered(sql<KeyHolder[]>`
          SELECT execution_id, request_hash FROM idempotency_keys
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND key = ${key}`),
      ),
  };
}

/** The most pieces that one query reads. Each call of `sendInput` has made one, so there may be one for each keystroke. */
const MAX_PIECES = 16;

/** A piece of input with its content, if that is still there. */
export interface ReadInput {
  /** The version of its event in the stream of the execution. */
  readonly version: number;
  readonly offset: number;
  readonly length: number;
  /** Null: it was secret, and its execution has ended. */
  readonly bytes: Buffer | null;
}

/** Bytes of an execution's input, from offset `start` to before offset `end`. */
interface InputRange {
  readonly start: number;
  readonly end: number;
}

interface InputRow {
  readonly version: number;
  readonly data: unknown;
  readonly base64: string | null;
}

export function createInputQueries({ sql, answered }: Client) {
  return {
    /**
     * The first pieces of an execution's input that have bytes in `range`, in order and without holes. Empty if there
     * are none. A piece has at most 64 KiB, so they have at most 128 KiB outside of the range.
     * @param from the version from which to look; all bytes of the range are in events of this version or later ones
     */
    inputIn: async (id: ExecutionId, range: InputRange, from: number): Promise<ReadInput[]> => {
      const rows = await answered(sql<InputRow[]>`
        SELECT e.version, e.data, i.base64
        FROM events e LEFT JOIN execution_inputs i
          ON i.execution_id = ${id} AND i.input_offset = (e.data ->> 'offset')::bigint
            AND (e.data ->> 'bytes')::bigint > 0
        WHERE e.stream_id = ${`execution-${id}`} AND e.version >= ${from} AND e.type = 'InputSent'
          AND (e.data ->> 'offset')::bigint < ${range.end}
          AND (e.data ->> 'offset')::bigint + (e.data ->> 'bytes')::bigint > ${range.start}
        ORDER BY e.version LIMIT ${MAX_PIECES}`);
      return rows.map(toInput);
    },

    /** The newest request for input that the execution has made. Null: none yet. */
    newestInputRequest: async (id: ExecutionId): Promise<InputRequest | null> => {
      const rows = await answered(sql<{ body: InputRequest }[]>`
        SELECT body FROM output_events WHERE execution_id = ${id} AND kind = 'input'
        ORDER BY seq DESC LIMIT 1`);
      return firstOrNull(rows)?.body ?? null;
    },
  };
}

function toInput({ version, data, base64 }: InputRow): ReadInput {
  const piece = decodeJson(data) as InputPiece;
  const bytes = base64 === null ? contentOfPiece(piece) : Buffer.from(base64, 'base64');
  return { version, offset: piece.offset, length: piece.bytes, bytes };
}

/**
 * The type of an event that requests something of a worker, and the event that answers it. Both belong to the same
 * stream.
 */
export interface RequestRule {
  readonly request: DomainEvent['type'];
  readonly answer: {
    readonly type: DomainEvent['type'];
    /** An event is an answer only if its data has these values. */
    readonly data?: Readonly<Record<string, string>>;
    /** `all`: it answers all earlier requests. `at-least-one`: it answers the oldest open request, and perhaps more. */
    readonly answers: 'all' | 'at-least-one';
  };
}

export function createCommandQueries({ sql, answered }: Client) {
  return {
    /**
     * Requests to a worker (of its open session and contexts and its unfinished executions) that may be unanswered, in
     * the order in which they were made. Each may have been sent to the agent already.
     */
    pendingRequests: async (
      workerId: WorkerId,
      rules: readonly RequestRule[],
    ): Promise<RecordedEvent[]> => {
      const rows = await answered(sql<EventRow[]>`
        WITH open_streams AS (
          SELECT 'execution-' || id AS stream_id FROM executions
          WHERE worker_id = ${workerId} AND finished_at IS NULL
          UNION ALL
          SELECT 'session-' || id FROM sessions WHERE worker_id = ${workerId} AND closed_at IS NULL
          UNION ALL
          SELECT 'context-' || id FROM contexts WHERE worker_id = ${workerId} AND ended_at IS NULL
        ), rules AS (
          SELECT request, answer ->> 'type' AS answer, coalesce(answer -> 'data', '{}') AS answer_data,
            answer ->> 'answers' AS answers
          FROM jsonb_to_recordset(${JSON.stringify(rules)}::text::jsonb) AS r (request text, answer jsonb)
        ), requests AS (
          SELECT e.*, r.answer, r.answer_data, r.answers,
            row_number() OVER alike AS number, min(e.position) OVER alike AS first_position
          FROM open_streams s JOIN events e USING (stream_id) JOIN rules r ON r.request = e.type
          WINDOW alike AS (PARTITION BY stream_id, e.type ORDER BY e.position)
        )
        SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at
        FROM requests q WHERE (
          SELECT CASE q.answers
            WHEN 'all' THEN count(*) FILTER (WHERE a.position > q.position) = 0
            -- Requests are answered in order. With n answers, the first n requests are answered, and the others may be
            -- open. One event may have answered two requests. Then one answered request is returned as well. That does
            -- no harm: the agent recognises a request that it has carried out.
            WHEN 'at-least-one' THEN count(*) < q.number
          END
          FROM events a
          WHERE a.stream_id = q.stream_id AND a.type = q.answer AND a.data @> q.answer_data
            AND a.position > q.first_position
        ) ORDER BY position`);
      return rows.map(decodeEvent);
    },
  };
}

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
      const items = remembered(freshOutputs, rows);
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
      return { items: remembered(freshOutputs, rows), isEnd: false };
    },

    /**
     * The cursor after all outputs that `userOutputs` can return now. Outputs that it holds back come after the cursor.
     * Null if the user has no executions. Then `userOutputs` can be called with null.
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

function remembered(freshOutputs: FreshOutputs, rows: readonly OutputRow[]): OutputItem[] {
  const sized = rows.map(({ body, bytes, ...item }) => ({
    item: { ...item, output: body },
    bytes,
  }));
  freshOutputs.read(sized);
  return sized.map(({ item }) => item);
}
