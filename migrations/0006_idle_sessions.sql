-- One group of commits, in one statement and so in one round trip and one transaction. Its order is its point:
--   gate, fences, guards, projections, outputs, keys; only then the append lock, positions, events; NOTIFY; commit at once.
-- The append lock is held from before a position is chosen until the transaction has ended, so positions are given in
-- commit order and have no holes. Everything that can wait for another writer or fail comes before it.
--
-- SQLSTATEs of its own: CH001 fenced (DETAIL: the worker), CH002 a guarded session is not open at that version,
-- CH003 a projection row is not at the expected version (DETAIL: the id), CH004 more unfinished executions of a session, and
-- CH005 more workers, than a new row allows (DETAIL: how many there would be), CH006 a session that should be idle is not
-- (DETAIL: the session).
--
-- New here: the last. Whoever requests an execution holds the session's row until its end, so the look at executions that
-- follows the change of that row sees it.
CREATE OR REPLACE FUNCTION cellhouse_commit(
  p_gateway_id text,
  -- The same group was sent before and its answer was lost: it may have been done.
  p_is_repeated boolean,
  p_cursor_worker_ids uuid[], p_cursor_epochs integer[], p_cursor_boot_ids text[], p_cursor_seqs bigint[],
  p_cursor_progress text[],
  p_guard_ids uuid[], p_guard_versions integer[],
  -- Rows of projections: new ones, and changed ones with their expected_version beside the columns. A new execution may bring
  -- max_unfinished, a new worker max_workers: how many there may be, with it. A changed session may bring idle_since: it must
  -- have nothing unfinished and nothing that finished then or later.
  p_new_workers json, p_workers json,
  p_new_sessions json, p_sessions json,
  -- requested_position of a new execution counts from 1 within p_event_ids.
  p_new_executions json, p_executions json,
  p_output_execution_ids uuid[], p_output_seqs integer[], p_output_kinds text[], p_output_bodies text[],
  p_output_bytes integer[], p_output_ats timestamptz[],
  p_key_tenants text[], p_key_user_uuids text[], p_keys text[], p_key_sha256s text[], p_key_execution_ids uuid[],
  p_event_ids uuid[], p_event_stream_ids text[], p_event_versions integer[], p_event_types text[],
  p_event_schema_versions integer[], p_event_data text[], p_event_metadata text[],
  -- The first event's position (the others follow without holes); null: there are no events.
  OUT first_position bigint,
  OUT committed_at timestamptz,
  -- Of the outputs, for listeners.
  OUT output_session_ids uuid[]
) LANGUAGE plpgsql AS $$
DECLARE
  -- Keys of advisory locks: "chou" and a number. The gate is shared by commits, and taken alone by a rebuild.
  c_gate_class CONSTANT integer := 1667788661;
  c_gate CONSTANT integer := 1;
  c_append CONSTANT integer := 2;
  -- Whoever adds a worker that is limited holds it until the end.
  c_workers CONSTANT integer := 3;
  -- 80 executions and sessions of 39 bytes each stay below NOTIFY's 8,000.
  c_max_named CONSTANT integer := 80;
  v_failed uuid;
  v_count integer;
  v_last bigint;
  v_execution_ids uuid[];
BEGIN
  PERFORM pg_advisory_xact_lock_shared(c_gate_class, c_gate);

  IF p_is_repeated AND cardinality(p_event_ids) > 0 THEN
    SELECT min(e.position), min(e.recorded_at) INTO first_position, committed_at
    FROM events e WHERE e.event_id = ANY (p_event_ids);
    IF first_position IS NOT NULL THEN
      SELECT coalesce(array_agg(DISTINCT x.session_id), '{}') INTO output_session_ids
      FROM executions x WHERE x.id = ANY (p_output_execution_ids);
      RETURN;
    END IF;
  END IF;

  IF cardinality(p_cursor_worker_ids) > 0 THEN
    WITH given AS (
      SELECT * FROM unnest(p_cursor_worker_ids, p_cursor_epochs, p_cursor_boot_ids, p_cursor_seqs, p_cursor_progress)
        AS g (worker_id, epoch, boot_id, seq, progress)
    ), moved AS (
      UPDATE worker_cursors c SET boot_id = g.boot_id, seq = g.seq, progress = g.progress::json
      FROM given g WHERE c.worker_id = g.worker_id AND c.epoch = g.epoch
      RETURNING c.worker_id
    )
    SELECT g.worker_id INTO v_failed FROM given g
    WHERE g.worker_id NOT IN (SELECT m.worker_id FROM moved m) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'fenced' USING ERRCODE = 'CH001', DETAIL = v_failed::text;
    END IF;
  END IF;

  IF cardinality(p_guard_ids) > 0 THEN
    WITH given AS (
      SELECT * FROM unnest(p_guard_ids, p_guard_versions) AS g (id, version)
    ), held AS (
      SELECT s.id, s.version FROM sessions s
      WHERE s.id = ANY (p_guard_ids) AND s.closed_at IS NULL
      ORDER BY s.id FOR NO KEY UPDATE
    )
    SELECT g.id INTO v_failed FROM given g LEFT JOIN held h ON h.id = g.id AND h.version = g.version
    WHERE h.id IS NULL LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'session not open' USING ERRCODE = 'CH002', DETAIL = v_failed::text;
    END IF;
  END IF;

  IF json_array_length(p_new_executions) > 0 THEN
    SELECT together.count INTO v_count
    FROM (
      SELECT (e ->> 'session_id')::uuid AS session_id, count(*) AS count, min((e ->> 'max_unfinished')::integer) AS maximum
      FROM json_array_elements(p_new_executions) e GROUP BY 1
    ) added CROSS JOIN LATERAL (
      SELECT added.count + count(*) AS count FROM executions x
      WHERE x.session_id = added.session_id AND x.finished_at IS NULL
    ) together
    WHERE together.count > added.maximum LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'too many unfinished executions' USING ERRCODE = 'CH004', DETAIL = v_count::text;
    END IF;
  END IF;

  IF json_array_length(p_workers) > 0 THEN
    WITH given AS (
      SELECT r.*, (e ->> 'expected_version')::integer AS expected_version
      FROM json_array_elements(p_workers) e, json_populate_record(NULL::workers, e) r
    ), changed AS (
      UPDATE workers t SET
        version = g.version, state = g.state, container_id = g.container_id, socket_path = g.socket_path,
        session_id = g.session_id, started_at = g.started_at, ready_at = g.ready_at, ready_ms = g.ready_ms,
        assigned_at = g.assigned_at, ended_at = g.ended_at, end_reason = g.end_reason, exit_code = g.exit_code,
        removed_at = g.removed_at
      FROM given g WHERE t.id = g.id AND t.version = g.expected_version
      RETURNING t.id
    )
    SELECT g.id INTO v_failed FROM given g WHERE g.id NOT IN (SELECT c.id FROM changed c) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'worker changed' USING ERRCODE = 'CH003', DETAIL = v_failed::text;
    END IF;
  END IF;
  IF json_array_length(p_new_workers) > 0 THEN
    IF EXISTS (SELECT FROM json_array_elements(p_new_workers) e WHERE e ->> 'max_workers' IS NOT NULL) THEN
      PERFORM pg_advisory_xact_lock(c_gate_class, c_workers);
      SELECT together.count INTO v_count
      FROM (
        SELECT (e ->> 'pool_id')::uuid AS pool_id, count(*) AS count, min((e ->> 'max_workers')::integer) AS maximum
        FROM json_array_elements(p_new_workers) e GROUP BY 1
      ) added CROSS JOIN LATERAL (
        SELECT added.count + count(*) AS count FROM workers w
        WHERE w.pool_id = added.pool_id AND w.state IN ('REQUESTED', 'STARTING', 'IDLE', 'ASSIGNED')
      ) together
      WHERE together.count > added.maximum LIMIT 1;
      IF FOUND THEN
        RAISE EXCEPTION 'too many workers' USING ERRCODE = 'CH005', DETAIL = v_count::text;
      END IF;
    END IF;
    INSERT INTO workers SELECT * FROM json_populate_recordset(NULL::workers, p_new_workers);
  END IF;

  IF json_array_length(p_sessions) > 0 THEN
    WITH given AS (
      SELECT r.*, (e ->> 'expected_version')::integer AS expected_version
      FROM json_array_elements(p_sessions) e, json_populate_record(NULL::sessions, e) r
    ), changed AS (
      UPDATE sessions t SET
        version = g.version, kernel_restarts = g.kernel_restarts, kernel_restarted_at = g.kernel_restarted_at,
        closed_at = g.closed_at, close_reason = g.close_reason
      FROM given g WHERE t.id = g.id AND t.version = g.expected_version
      RETURNING t.id
    )
    SELECT g.id INTO v_failed FROM given g WHERE g.id NOT IN (SELECT c.id FROM changed c) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'session changed' USING ERRCODE = 'CH003', DETAIL = v_failed::text;
    END IF;
    SELECT g.id INTO v_failed
    FROM json_to_recordset(p_sessions) AS g (id uuid, idle_since timestamptz)
    WHERE g.idle_since IS NOT NULL AND EXISTS (
      SELECT FROM executions x
      WHERE x.session_id = g.id AND (x.finished_at IS NULL OR x.finished_at >= g.idle_since)
    ) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'session in use' USING ERRCODE = 'CH006', DETAIL = v_failed::text;
    END IF;
  END IF;
  IF json_array_length(p_new_sessions) > 0 THEN
    INSERT INTO sessions SELECT * FROM json_populate_recordset(NULL::sessions, p_new_sessions);
  END IF;

  IF json_array_length(p_executions) > 0 THEN
    WITH given AS (
      SELECT r.*, (e ->> 'expected_version')::integer AS expected_version
      FROM json_array_elements(p_executions) e, json_populate_record(NULL::executions, e) r
    ), changed AS (
      UPDATE executions t SET
        version = g.version, status = g.status, started_at = g.started_at, finished_at = g.finished_at,
        execution_count = g.execution_count, error_name = g.error_name, error_value = g.error_value,
        state_lost = g.state_lost, truncated = g.truncated, queued_ms = g.queued_ms, run_ms = g.run_ms,
        cpu_ms = g.cpu_ms, peak_memory_bytes = g.peak_memory_bytes, output_bytes = g.output_bytes
      FROM given g WHERE t.id = g.id AND t.version = g.expected_version
      RETURNING t.id
    )
    SELECT g.id INTO v_failed FROM given g WHERE g.id NOT IN (SELECT c.id FROM changed c) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'execution changed' USING ERRCODE = 'CH003', DETAIL = v_failed::text;
    END IF;
  END IF;

  IF cardinality(p_output_seqs) > 0 THEN
    IF p_is_repeated THEN
      INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
      SELECT o.execution_id, o.seq, o.kind, o.body::json, o.bytes, o.at
      FROM unnest(p_output_execution_ids, p_output_seqs, p_output_kinds, p_output_bodies, p_output_bytes, p_output_ats)
        AS o (execution_id, seq, kind, body, bytes, at)
      ON CONFLICT (execution_id, seq) DO NOTHING;
    ELSE
      INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
      SELECT o.execution_id, o.seq, o.kind, o.body::json, o.bytes, o.at
      FROM unnest(p_output_execution_ids, p_output_seqs, p_output_kinds, p_output_bodies, p_output_bytes, p_output_ats)
        AS o (execution_id, seq, kind, body, bytes, at);
    END IF;
  END IF;

  IF cardinality(p_keys) > 0 THEN
    INSERT INTO idempotency_keys (tenant, user_uuid, key, code_sha256, execution_id)
    SELECT * FROM unnest(p_key_tenants, p_key_user_uuids, p_keys, p_key_sha256s, p_key_execution_ids);
  END IF;

  committed_at := date_trunc('milliseconds', clock_timestamp());
  IF cardinality(p_event_ids) > 0 THEN
    PERFORM pg_advisory_xact_lock(c_gate_class, c_append);
    -- A statement of its own: its snapshot is younger than the lock, so it sees every event there is.
    SELECT coalesce(max(e.position), 0) + 1 INTO first_position FROM events e;
    committed_at := date_trunc('milliseconds', clock_timestamp());
    INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
    SELECT first_position + e.number - 1, e.event_id, e.stream_id, e.version, e.type, e.schema_version,
      e.data::jsonb, e.metadata::jsonb, committed_at
    FROM unnest(p_event_ids, p_event_stream_ids, p_event_versions, p_event_types, p_event_schema_versions,
      p_event_data, p_event_metadata) WITH ORDINALITY
      AS e (event_id, stream_id, version, type, schema_version, data, metadata, number);
    v_last := first_position + cardinality(p_event_ids) - 1;
    -- The one projection that knows a position, so it is written after it.
    IF json_array_length(p_new_executions) > 0 THEN
      INSERT INTO executions
      SELECT x.* FROM json_populate_recordset(NULL::executions, p_new_executions) r,
        json_populate_record(r, json_build_object('requested_position', first_position - 1 + r.requested_position)) x;
    END IF;
  END IF;

  output_session_ids := '{}';
  IF cardinality(p_output_execution_ids) > 0 THEN
    SELECT array_agg(DISTINCT o.id) INTO v_execution_ids FROM unnest(p_output_execution_ids) AS o (id);
    SELECT coalesce(array_agg(DISTINCT x.session_id), '{}') INTO output_session_ids
    FROM executions x WHERE x.id = ANY (v_execution_ids);
  END IF;
  -- g: the gateway, which need not be told of its own; p: last position; x: executions and s: sessions with new outputs.
  IF v_last IS NOT NULL OR v_execution_ids IS NOT NULL THEN
    PERFORM pg_notify('cellhouse', CASE WHEN cardinality(v_execution_ids) > c_max_named
      THEN json_build_object('g', p_gateway_id, 'p', coalesce(v_last, 0), 'x', '*', 's', '*')::text
      ELSE json_build_object('g', p_gateway_id, 'p', coalesce(v_last, 0),
        'x', coalesce(v_execution_ids, '{}'), 's', output_session_ids)::text END);
  END IF;
END;
$$;
