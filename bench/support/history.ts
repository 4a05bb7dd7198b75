/**
 * Writes a long history directly into the tables, as an installation has after months. A gateway could have made this
 * history: `cellhouse rebuild` finds no row that differs. It ends at the present time. Sessions begin four minutes
 * apart, and one in fifty ends with a lost worker.
 */
import type { createClient } from '../../src/events/connection/client.ts';

type Sql = ReturnType<typeof createClient>['sql'];

/** A batch of this size can be sorted in memory, and costs little if it fails. */
const EXECUTIONS_PER_BATCH = 50_000;
const SESSIONS_PER_BATCH = 10_000;

interface HistoryOptions {
  /** Called after each batch with the number of executions so far. */
  readonly onAdded?: (executions: number) => void;
  /** @default 50,000 */
  readonly executionsPerBatch?: number;
}

/** The sessions `first` to `last` of all `sessions`. All sessions have equally many executions. */
interface Batch {
  readonly first: number;
  readonly last: number;
  readonly sessions: number;
  readonly executions: number;
}

/** Fills the database of an installation whose gateways are stopped. Resolves with the number of added events. */
export async function generateHistory(
  sql: Sql,
  { events, executions }: HistorySize,
  { onAdded = () => undefined, executionsPerBatch = EXECUTIONS_PER_BATCH }: HistoryOptions = {},
): Promise<number> {
  const sessions = Math.round((events - executions * EVENTS_PER_EXECUTION) / EVENTS_PER_SESSION);
  if (sessions < 1) throw new RangeError('An execution has 3 events, and a session 10.');
  const fitting = Math.floor((executionsPerBatch * sessions) / Math.max(1, executions));
  const size = Math.max(1, Math.min(SESSIONS_PER_BATCH, fitting));
  for (let first = 1; first <= sessions; first += size) {
    const last = Math.min(sessions, first + size - 1);
    await sql.begin(async (transaction) => {
      await addBatch(transaction as unknown as Sql, { first, last, sessions, executions });
    });
    onAdded(Math.floor((executions * last) / sessions));
  }
  await sql`VACUUM ANALYZE`;
  return sessions * EVENTS_PER_SESSION + executions * EVENTS_PER_EXECUTION;
}

async function addBatch(sql: Sql, batch: Batch): Promise<void> {
  // Durability does not matter: if the machine crashes, the bench is lost anyway.
  await sql`SET LOCAL synchronous_commit = off`;
  await lives(sql, batch);
  await runs(sql);
  await facts(sql);
  await insertEvents(sql);
  await insertProjections(sql);
  await insertOutputs(sql);
}

/**
 * Makes a row for each session, with the ids and times that all other rows are derived from. Ids are version 7, like
 * real ones.
 */
async function lives(sql: Sql, { first, last, sessions, executions }: Batch): Promise<void> {
  await sql`
    CREATE OR REPLACE FUNCTION pg_temp.id_at(at timestamptz, seed text) RETURNS uuid STABLE LANGUAGE sql AS $$
      SELECT overlay(overlay(overlay(md5(seed) PLACING lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        FROM 1) PLACING '7' FROM 13) PLACING 'a' FROM 17)::uuid $$`;
  await sql`
    CREATE TEMPORARY TABLE life ON COMMIT DROP AS
    SELECT l.*, p.pool_id, pg_temp.id_at(l.at, 'worker' || n) AS worker_id, pg_temp.id_at(l.at, 'session' || n) AS session_id,
      'user-' || n % 1000 AS user_uuid, n % 50 = 0 AS is_lost, n % 50 = 0 AND n > 1000 AS follows_loss,
      l.at + (30 + (runs + 1) * step_ms) * interval '1 ms' AS end_at
    FROM (
      SELECT n, (n - 1) * ${executions}::bigint / ${sessions} AS runs_before, c.runs,
        date_trunc('milliseconds', now()) - (${sessions} - n + 1) * interval '4 minutes' AS at,
        least(1000, 200000 / (c.runs + 1)) AS step_ms
      FROM generate_series(${first}::bigint, ${last}::bigint) n,
        LATERAL (SELECT n * ${executions}::bigint / ${sessions} - (n - 1) * ${executions}::bigint / ${sessions} AS runs) c
    ) l, pools p`;
}

async function runs(sql: Sql): Promise<void> {
  await sql`
    CREATE TEMPORARY TABLE run ON COMMIT DROP AS
    SELECT r.*, pg_temp.id_at(run_at, 'execution' || x) AS execution_id, encode(sha256(code::bytea), 'hex') AS code_sha256
    FROM (
      SELECT l.*, k, runs_before + k AS x, l.at + (20 + k * step_ms) * interval '1 ms' AS run_at,
        'import pandas as pd' || chr(10) || 'table = pd.read_csv("part_' || runs_before + k || '.csv")' || chr(10) ||
        'table["rate"] = table["hits"] / table["tries"]' || chr(10) ||
        'by_day = table.groupby("day")["rate"].mean().sort_values()' || chr(10) ||
        'print(by_day.tail(10).round(3).to_string())' AS code
      FROM life l, generate_series(1, l.runs) k
    ) r`;
}

/** Makes all events with their positions. */
async function facts(sql: Sql): Promise<void> {
  await sql`
    CREATE TEMPORARY TABLE fact ON COMMIT DROP AS
    SELECT (SELECT coalesce(max(position), 0) FROM events) + row_number() OVER (ORDER BY n, at, stream_id, version) AS position, f.*
    FROM (${ofLives(sql)} UNION ALL ${ofRuns(sql)}) f`;
}

const ofLives = (sql: Sql) => sql`
      SELECT n, CASE WHEN step < 5 THEN at ELSE end_at END + step * interval '1 ms' AS at, 'worker-' || worker_id AS stream_id,
        step AS version, type, NULL::uuid AS correlation_id,
        CASE type
          WHEN 'WorkerRequested' THEN jsonb_build_object('workerId', worker_id, 'poolId', pool_id,
            'name', 'cellhouse-' || worker_id, 'imageId', 'sha256:1', 'runtime', 'docker/runc',
            'limits', '{"memoryMb": 512, "diskMb": 256, "cpus": 1, "pids": 128}'::jsonb)
          WHEN 'WorkerStarted' THEN jsonb_build_object('containerId', md5(n::text), 'socketPath', '/s/' || n)
          WHEN 'WorkerReady' THEN '{"readyMs": 700}'
          WHEN 'WorkerAssigned' THEN jsonb_build_object('sessionId', session_id)
          WHEN 'WorkerRetired' THEN '{"reason": "released"}'
          WHEN 'WorkerLost' THEN '{"reason": "oom", "exitCode": 137, "detail": null}' ELSE '{}'
        END AS data
      FROM life, unnest(ARRAY['WorkerRequested', 'WorkerStarted', 'WorkerReady', 'WorkerAssigned',
        CASE WHEN is_lost THEN 'WorkerLost' ELSE 'WorkerRetired' END, 'WorkerRemoved']) WITH ORDINALITY AS s (type, step)
      UNION ALL
      SELECT n, CASE WHEN step < 4 THEN at ELSE end_at END + (4 + step) * interval '1 ms', 'session-' || session_id, step, type, NULL,
        CASE type
          WHEN 'SessionOpened' THEN jsonb_build_object('sessionId', session_id, 'tenant', 'default',
            'userUuid', user_uuid, 'workerId', worker_id, 'followsLoss', follows_loss)
          WHEN 'KernelRestarted' THEN '{"reason": "user", "executionId": null}'
          ELSE jsonb_build_object('reason', CASE WHEN is_lost THEN 'worker-lost' ELSE 'released' END)
        END
      FROM life, unnest(ARRAY['SessionOpened', 'KernelRestarted', 'KernelRestarted', 'SessionClosed'])
        WITH ORDINALITY AS s (type, step)`;

const ofRuns = (sql: Sql) => sql`
      SELECT n, run_at + step * interval '1 ms', 'execution-' || execution_id, step, type, execution_id,
        CASE type
          WHEN 'ExecutionRequested' THEN jsonb_build_object('executionId', execution_id, 'sessionId', session_id,
            'workerId', worker_id, 'tenant', 'default', 'userUuid', user_uuid, 'code', code, 'codeSha256', code_sha256,
            'codeBytes', length(code), 'timeoutMs', 10000, 'maxOutputBytes', 33554432, 'idempotencyKey', null,
            'stateLost', follows_loss AND k = 1)
          WHEN 'ExecutionStarted' THEN '{}'
          ELSE jsonb_build_object('status', 'OK', 'executionCount', 1, 'errorName', null, 'errorValue', null,
            'stateLost', follows_loss AND k = 1, 'truncated', false, 'queuedMs', 1, 'runMs', 1, 'cpuMs', x % 997,
            'peakMemoryBytes', 70000000, 'outputBytes', 8, 'exitCode', null)
        END
      FROM run, unnest(ARRAY['ExecutionRequested', 'ExecutionStarted', 'ExecutionFinished']) WITH ORDINALITY AS s (type, step)`;

async function insertEvents(sql: Sql): Promise<void> {
  const iso = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
  await sql`
    INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
    SELECT position, pg_temp.id_at(at, stream_id || version), stream_id, version, type,
      CASE type WHEN 'ExecutionFinished' THEN 2 ELSE 1 END,
      data || jsonb_build_object('at', to_char(at AT TIME ZONE 'UTC', ${iso})),
      jsonb_build_object('gatewayId', '00000000-0000-7000-8000-000000000000', 'causationId', null,
        'correlationId', correlation_id), at
    FROM fact ORDER BY position`;
}

async function insertProjections(sql: Sql): Promise<void> {
  await sql`
    INSERT INTO workers (
      id, version, pool_id, state, name, image_id, runtime, limits, container_id, socket_path,
      session_id, requested_at, started_at, ready_at, ready_ms, assigned_at, ended_at, end_reason,
      exit_code, removed_at)
    SELECT worker_id, 6, pool_id, 'REMOVED', 'cellhouse-' || worker_id, 'sha256:1', 'docker/runc',
      '{"memoryMb": 512, "diskMb": 256, "cpus": 1, "pids": 128}', md5(n::text), '/s/' || n, session_id,
      at + interval '1 ms', at + interval '2 ms', at + interval '3 ms', 700, at + interval '4 ms', end_at + interval '5 ms',
      CASE WHEN is_lost THEN 'oom' ELSE 'released' END, CASE WHEN is_lost THEN 137 END, end_at + interval '6 ms'
    FROM life`;
  await sql`
    INSERT INTO sessions (
      id, version, tenant, user_uuid, worker_id, follows_loss, opened_at, kernel_restarts,
      kernel_restarted_at, closed_at, close_reason)
    SELECT session_id, 4, 'default', user_uuid, worker_id, follows_loss, at + interval '5 ms', 2,
      at + interval '7 ms', end_at + interval '8 ms', CASE WHEN is_lost THEN 'worker-lost' ELSE 'released' END
    FROM life`;
  await sql`
    INSERT INTO executions (
      id, version, tenant, user_uuid, session_id, worker_id, status, code_sha256, code_bytes,
      timeout_ms, max_output_bytes, idempotency_key, requested_at, started_at, finished_at,
      execution_count, error_name, error_value, state_lost, truncated, queued_ms, run_ms, cpu_ms,
      peak_memory_bytes, output_bytes, requested_position)
    SELECT execution_id, 3, 'default', user_uuid, session_id, worker_id, 'OK',
      code_sha256, length(code), 10000, 33554432, NULL, run_at + interval '1 ms', run_at + interval '2 ms',
      run_at + interval '3 ms', 1, NULL, NULL, follows_loss AND k = 1, false, 1, 1, x % 997, 70000000, 8, f.position
    FROM run JOIN fact f ON f.correlation_id = execution_id AND f.version = 1 ORDER BY f.position`;
}

async function insertOutputs(sql: Sql): Promise<void> {
  await sql`
    INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
    SELECT execution_id, seq, kind, body::json, length(body), run_at + seq * interval '1 ms'
    FROM run, (VALUES (1, 'stream', '{"kind":"stream","name":"stdout","text":"1234567\\n"}'),
      (2, 'finish', '{"kind":"finish"}')) AS o (seq, kind, body) ORDER BY x, seq`;
}

// The size of a generated history.

/** The events of a session and its worker: 6 of the worker, 4 of the session. */
const EVENTS_PER_SESSION = 10;
const EVENTS_PER_EXECUTION = 3;
/** How many executions a user typically runs in one session. */
const USUAL_EXECUTIONS_PER_SESSION = 30;

export interface HistorySize {
  readonly events: number;
  readonly executions: number;
}

/** A history with this many executions and a typical number of sessions. */
export function usualHistory(executions: number): HistorySize {
  const sessions = Math.ceil(executions / USUAL_EXECUTIONS_PER_SESSION);
  return {
    executions,
    events: executions * EVENTS_PER_EXECUTION + sessions * EVENTS_PER_SESSION,
  };
}

/** A history with this many events and a typical share of executions. */
export function usualHistoryOf(events: number): HistorySize {
  const sessions = Math.ceil(
    events / (EVENTS_PER_SESSION + EVENTS_PER_EXECUTION * USUAL_EXECUTIONS_PER_SESSION),
  );
  const left = events - sessions * EVENTS_PER_SESSION;
  return { events, executions: Math.max(0, Math.floor(left / EVENTS_PER_EXECUTION)) };
}
