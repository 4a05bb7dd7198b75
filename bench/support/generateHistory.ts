/**
 * A long past, written straight into the tables: what an installation has after months. It is a history that the gateway could
 * have made: `cellhouse rebuild` finds no row that differs.
 */
import type { createClient } from '../../src/events/client.ts';

type Sql = ReturnType<typeof createClient>['sql'];

/** A session with its worker: 6 events of the worker, 4 of the session. */
const EVENTS_PER_SESSION = 10;
const EVENTS_PER_EXECUTION = 3;
/** Each session lived an hour after the one before it. */
const START = '2020-01-01T00:00:00Z';

export interface HistorySize {
  readonly events: number;
  readonly executions: number;
}

/** Fills an installation that serves nothing just now. Resolves with the number of events that were added. */
export async function generateHistory(
  sql: Sql,
  { events, executions }: HistorySize,
): Promise<number> {
  const sessions = Math.round((events - executions * EVENTS_PER_EXECUTION) / EVENTS_PER_SESSION);
  if (sessions < 1) throw new RangeError('An execution has 3 events, and a session 10.');
  await sql.begin(async (transaction) => {
    const tx = transaction as unknown as Sql;
    await lives(tx, sessions, executions);
    await insertEvents(tx);
    await insertProjections(tx);
    await insertOutputs(tx);
  });
  await sql`VACUUM ANALYZE`;
  return sessions * EVENTS_PER_SESSION + executions * EVENTS_PER_EXECUTION;
}

/** One row for each session, and one for each execution, with ids and times from which all else follows. */
async function lives(sql: Sql, sessions: number, executions: number): Promise<void> {
  await sql`
    CREATE TEMPORARY TABLE life ON COMMIT DROP AS
    SELECT n, md5('worker' || n)::uuid AS worker_id, md5('session' || n)::uuid AS session_id,
      'user-' || n % 1000 AS user_uuid, ${START}::timestamptz + n * interval '1 hour' AS at, p.pool_id
    FROM generate_series(1, ${sessions}::int) n, pools p`;
  await sql`
    CREATE TEMPORARY TABLE run ON COMMIT DROP AS
    SELECT x, l.*, md5('execution' || x)::uuid AS execution_id, 'print(' || x || ')' AS code,
      l.at + interval '1 minute' + (x / ${sessions}::int) * interval '1 second' AS run_at
    FROM generate_series(1, ${executions}::int) x JOIN life l ON l.n = 1 + x % ${sessions}::int`;
}

async function insertEvents(sql: Sql): Promise<void> {
  const iso = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
  await sql`
    CREATE TEMPORARY TABLE fact ON COMMIT DROP AS
    SELECT n, at + step * interval '1 millisecond' AS at, 'worker-' || worker_id AS stream_id, step AS version, type,
      CASE type
        WHEN 'WorkerRequested' THEN jsonb_build_object('workerId', worker_id, 'poolId', pool_id,
          'name', 'cellhouse-' || worker_id, 'imageId', 'sha256:1', 'runtime', 'docker/runc',
          'limits', '{"memoryMb": 512, "diskMb": 256, "cpus": 1, "pids": 128}'::jsonb)
        WHEN 'WorkerStarted' THEN jsonb_build_object('containerId', md5(n::text), 'socketPath', '/s/' || n)
        WHEN 'WorkerReady' THEN '{"readyMs": 700}'
        WHEN 'WorkerAssigned' THEN jsonb_build_object('sessionId', session_id)
        WHEN 'WorkerRetired' THEN '{"reason": "released"}' ELSE '{}'
      END AS data
    FROM life, unnest(ARRAY['WorkerRequested', 'WorkerStarted', 'WorkerReady', 'WorkerAssigned', 'WorkerRetired',
      'WorkerRemoved']) WITH ORDINALITY AS s (type, step)
    UNION ALL
    SELECT n, at + (4 + step) * interval '1 millisecond', 'session-' || session_id, step, type,
      CASE type
        WHEN 'SessionOpened' THEN jsonb_build_object('sessionId', session_id, 'tenant', 'default',
          'userUuid', user_uuid, 'workerId', worker_id, 'followsLoss', false)
        WHEN 'KernelRestarted' THEN '{"reason": "user", "executionId": null}'
        ELSE '{"reason": "released"}'
      END
    FROM life, unnest(ARRAY['SessionOpened', 'KernelRestarted', 'KernelRestarted', 'SessionClosed'])
      WITH ORDINALITY AS s (type, step)
    UNION ALL
    SELECT n, run_at + step * interval '1 millisecond', 'execution-' || execution_id, step, type,
      CASE type
        WHEN 'ExecutionRequested' THEN jsonb_build_object('executionId', execution_id, 'sessionId', session_id,
          'workerId', worker_id, 'tenant', 'default', 'userUuid', user_uuid, 'code', code,
          'codeSha256', encode(sha256(code::bytea), 'hex'), 'codeBytes', length(code), 'timeoutMs', 10000,
          'maxOutputBytes', 33554432, 'idempotencyKey', null, 'stateLost', false)
        WHEN 'ExecutionStarted' THEN '{}'
        ELSE '{"status": "OK", "executionCount": 1, "errorName": null, "errorValue": null, "stateLost": false,
          "truncated": false, "queuedMs": 1, "runMs": 1, "cpuMs": 1, "peakMemoryBytes": 70000000, "outputBytes": 8,
          "exitCode": null}'
      END
    FROM run, unnest(ARRAY['ExecutionRequested', 'ExecutionStarted', 'ExecutionFinished'])
      WITH ORDINALITY AS s (type, step)`;
  await sql`
    INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
    SELECT (SELECT coalesce(max(position), 0) FROM events) + row_number() OVER (ORDER BY n, at, stream_id, version),
      md5(stream_id || version)::uuid, stream_id, version, type, CASE type WHEN 'ExecutionFinished' THEN 2 ELSE 1 END,
      data || jsonb_build_object('at', to_char(at AT TIME ZONE 'UTC', ${iso})),
      '{"gatewayId": "00000000-0000-7000-8000-000000000000", "causationId": null, "correlationId": null}', at
    FROM fact`;
}

async function insertProjections(sql: Sql): Promise<void> {
  await sql`
    INSERT INTO workers SELECT worker_id, 6, pool_id, 'REMOVED', 'cellhouse-' || worker_id, 'sha256:1', 'docker/runc',
      '{"memoryMb": 512, "diskMb": 256, "cpus": 1, "pids": 128}', md5(n::text), '/s/' || n, session_id,
      at + interval '1 ms', at + interval '2 ms', at + interval '3 ms', 700, at + interval '4 ms', at + interval '5 ms',
      'released', NULL, at + interval '6 ms'
    FROM life`;
  await sql`
    INSERT INTO sessions SELECT session_id, 4, 'default', user_uuid, worker_id, false, at + interval '5 ms', 2,
      at + interval '7 ms', at + interval '8 ms', 'released'
    FROM life`;
  await sql`
    INSERT INTO executions SELECT execution_id, 3, 'default', user_uuid, session_id, worker_id, 'OK',
      encode(sha256(code::bytea), 'hex'), length(code), 10000, 33554432, NULL, run_at + interval '1 ms',
      run_at + interval '2 ms', run_at + interval '3 ms', 1, NULL, NULL, false, false, 1, 1, 1, 70000000, 8, e.position
    FROM run JOIN events e ON e.stream_id = 'execution-' || execution_id AND e.version = 1`;
}

async function insertOutputs(sql: Sql): Promise<void> {
  await sql`
    INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
    SELECT execution_id, seq, kind, body::json, length(body), run_at + seq * interval '1 ms'
    FROM run, (VALUES (1, 'stream', '{"kind":"stream","name":"stdout","text":"1234567\\n"}'),
      (2, 'finish', '{"kind":"finish"}')) AS o (seq, kind, body)`;
}
