-- Writes a group of commits in one statement: one round trip and one transaction. The order of its steps matters:
--   gate, fences, guards, projections, outputs, keys, variables; only then the append lock, positions, events, rows that
--   hold a position, quotas; NOTIFY; commit at once.
-- The append lock is taken before a position is chosen and held until the transaction ends. So positions are in commit
-- order and have no holes. Every step that can wait for another writer, or that commonly fails, comes before this lock.
-- Quotas are the one exception: their check can fail, but waits for no writer, and the counts are exact only under this
-- lock (cellhouse_require_quotas.sql).
--
-- Rules for all entities are in functions that are made from the entities' tables (cellhouse_make_projections.sql).
-- Each rule for a single entity has its own block here: guards and idleness of sessions, limits of executions and
-- workers.
--
-- Its own SQLSTATEs:
--   CH001: fenced. DETAIL: the worker.
--   CH002: a guarded session is not open at the given version. DETAIL: the session.
--   CH003: a row of a projection is not at the expected version. DETAIL: its id.
--   CH004: a session would have too many unfinished executions. DETAIL: how many.
--   CH005: the pool would have too many workers. DETAIL: how many.
--   CH006: a session that should be idle is not. DETAIL: the session.
--   CH007: an added execution should be the first of the session's default context, but is not. DETAIL: the session.
--   CH008: a quota would be exceeded (cellhouse_require_quotas.sql).
--
-- The function is written to be cheap:
-- - Rows come as JSON and are read once, by json_to_recordset.
-- - Arrays are unnested side by side in a SELECT list. One unnest() of several arrays costs more than twice as much.
-- - Loops run over numbers. A loop over a query costs more.
-- - Functions are called in assignments, which PL/pgSQL evaluates directly. PERFORM would run a query.
-- - The failing row is looked up only after a failure.
-- - Absent parameters are null.
CREATE OR REPLACE FUNCTION cellhouse_commit(
  p_gateway_id text,
  -- Whether the same group was sent before and its answer was lost. It may have been committed then.
  p_is_repeated boolean,
  -- From here on, null means that there are none.
  p_cursors json,
  p_guard_ids uuid[], p_guard_versions integer[],
  -- For each session that gets executions and has a limit: how many are added, and how many may then be unfinished
  -- (null: any number). Each context has a limit of its own (context_id null: the default one), and all commands
  -- together have one (is_command). is_first: the session's default context must have had no execution.
  p_unfinished_limits json,
  -- For each pool that gets workers and has a limit: how many are added, and how many there may then be.
  p_worker_limits json,
  -- Sessions that must have no unfinished execution, and none that finished at their idle_since or later. Of a command
  -- that does not keep its session alive, only the request counts. Nor may they have been used in another way since then.
  p_idle_sessions json,
  -- Rows of projections: the kinds of entities, and for each kind the JSON for cellhouse_change_rows or
  -- cellhouse_add_rows. The rows in p_placed hold a position, which counts from 1 within p_events.
  p_changed_kinds text[], p_changed text[],
  p_added_kinds text[], p_added text[],
  p_placed_kinds text[], p_placed text[],
  p_output_execution_ids uuid[], p_output_seqs integer[], p_output_kinds text[], p_output_bodies text[],
  p_output_bytes integer[], p_output_ats timestamptz[],
  p_keys json,
  -- In commit order, each with its number in this order, from 1.
  p_events json,
  -- Values that no event contains. The environment variables of sessions that are opened, and of executions that are
  -- requested: session_id or execution_id, name, value. Secret input of executions: execution_id, input_offset, base64.
  p_variables json,
  -- The quotas that limit what this group adds, as cellhouse_require_quotas takes them. Up to position p_quotas_until,
  -- none of them can have been reached.
  p_quotas text,
  p_quotas_until bigint
-- firstPosition: position of the first event, or null without events. The positions of the others follow without holes.
-- previousEventId: the event before the first one, or null if there is none. It is left out if the group was found.
-- outputSessionIds: the sessions with new outputs, for listeners, or null without outputs. quotas: what was counted for
-- quotas, or null. The result is a single value, because a row costs the caller more.
) RETURNS json LANGUAGE plpgsql
-- A commit changes few rows, which it names by their ids. Without these settings, a plan that was made while a table
-- was small would read the whole table, even after it has grown. The planner also expects a hundred rows in a commit,
-- and would read a whole index to join them. The generic plan is always good enough, so no other is made.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  -- Keys of the advisory locks: "chou" in ASCII, and a number. Commits take the gate shared, and a rebuild takes it
  -- exclusively.
  c_gate_class CONSTANT integer := 1667788661;
  c_gate CONSTANT integer := 1;
  c_append CONSTANT integer := 2;
  -- A transaction that adds workers under a limit holds it until its end.
  c_workers CONSTANT integer := 3;
  -- 80 executions and their sessions, with 39 bytes for each id, stay below NOTIFY's limit of 8,000 bytes.
  c_max_named CONSTANT integer := 80;
  v_void text;
  v_failed uuid;
  v_count integer;
  v_committed_at timestamptz;
  v_first bigint;
  v_previous_event_id uuid;
  v_last bigint;
  v_execution_ids uuid[];
  v_session_ids uuid[];
  v_quotas json;
BEGIN
  v_void := pg_advisory_xact_lock_shared(c_gate_class, c_gate)::text;

  IF p_is_repeated AND p_events IS NOT NULL THEN
    SELECT min(e.position), min(e.recorded_at) INTO v_first, v_committed_at
    FROM json_to_recordset(p_events) AS g (event_id uuid) JOIN events e ON e.event_id = g.event_id;
    IF v_first IS NOT NULL THEN
      SELECT array_agg(DISTINCT x.session_id) INTO v_session_ids
      FROM executions x WHERE x.id = ANY (p_output_execution_ids);
      RETURN json_build_object('firstPosition', v_first, 'committedAt', v_committed_at, 'outputSessionIds', v_session_ids);
    END IF;
  END IF;

  IF p_cursors IS NOT NULL THEN
    -- The stored cursor must be the previous one, or the new one if an earlier attempt was committed. It is neither if
    -- the database was replaced by an older copy, which lacks commits that the gateway has made.
    UPDATE worker_cursors c SET boot_id = g.boot_id, seq = g.seq, progress = g.progress::json
    FROM json_to_recordset(p_cursors) AS g (
      worker_id uuid, epoch integer, boot_id text, seq bigint, previous_seq bigint, progress text)
    WHERE c.worker_id = g.worker_id AND c.epoch = g.epoch
      AND (g.previous_seq IS NULL OR c.seq = g.previous_seq OR (c.seq = g.seq AND c.boot_id = g.boot_id));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count < json_array_length(p_cursors) THEN
      -- The accepted cursors are stored now. Epochs and cursors never go back, so a refused cursor is still not stored.
      SELECT g.worker_id INTO v_failed
      FROM json_to_recordset(p_cursors) AS g (worker_id uuid, epoch integer, boot_id text, seq bigint)
      WHERE NOT EXISTS (SELECT FROM worker_cursors c
        WHERE c.worker_id = g.worker_id AND c.epoch = g.epoch AND c.seq = g.seq AND c.boot_id = g.boot_id) LIMIT 1;
      RAISE EXCEPTION 'fenced' USING ERRCODE = 'CH001', DETAIL = v_failed::text;
    END IF;
  END IF;

  IF p_guard_ids IS NOT NULL THEN
    WITH held AS (
      SELECT s.id, s.version FROM sessions s
      WHERE s.id = ANY (p_guard_ids) AND s.closed_at IS NULL
      ORDER BY s.id FOR NO KEY UPDATE
    )
    SELECT g.id INTO v_failed
    FROM (SELECT unnest(p_guard_ids) AS id, unnest(p_guard_versions) AS version) g
      LEFT JOIN held h ON h.id = g.id AND h.version = g.version
    WHERE h.id IS NULL LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'session not open' USING ERRCODE = 'CH002', DETAIL = v_failed::text;
    END IF;
  END IF;

  IF p_unfinished_limits IS NOT NULL THEN
    SELECT together.count, CASE WHEN together.count > l.maximum THEN NULL ELSE l.session_id END INTO v_count, v_failed
    FROM json_to_recordset(p_unfinished_limits) AS l (
      session_id uuid, worker_id uuid, context_id uuid, is_command boolean, added integer, maximum integer,
      is_first boolean)
      CROSS JOIN LATERAL (
        -- A session has one worker. The condition names it, because the index of unfinished executions begins with it.
        SELECT l.added + count(*) AS count FROM executions x
        WHERE x.worker_id = l.worker_id AND x.session_id = l.session_id AND x.finished_at IS NULL
          AND (x.language = 'BASH') = coalesce(l.is_command, false)
          AND (l.is_command OR x.context_id IS NOT DISTINCT FROM l.context_id)
      ) together
    -- This is a scalar subquery, because the planner may turn an EXISTS into a hash of all sessions.
    WHERE together.count > l.maximum OR (l.is_first AND (
      l.added > 1 OR (
        SELECT x.session_id FROM executions x
        WHERE x.session_id = l.session_id AND x.language = 'PYTHON' AND x.context_id IS NULL LIMIT 1
      ) IS NOT NULL
    )) LIMIT 1;
    IF FOUND THEN
      IF v_failed IS NOT NULL THEN
        RAISE EXCEPTION 'not the first execution' USING ERRCODE = 'CH007', DETAIL = v_failed::text;
      END IF;
      RAISE EXCEPTION 'too many unfinished executions' USING ERRCODE = 'CH004', DETAIL = v_count::text;
    END IF;
  END IF;

  -- This comes before the change of the session's row, which deletes its uses (cellhouse_session_ends.sql).
  IF p_idle_sessions IS NOT NULL THEN
    -- With the lock, nobody else can give the session an execution or record a use. The check is a statement of its own,
    -- because its snapshot must be newer than the lock.
    v_void := (SELECT count(*) FROM (
      SELECT FROM sessions s WHERE s.id IN (SELECT g.id FROM json_to_recordset(p_idle_sessions) AS g (id uuid))
      ORDER BY s.id FOR NO KEY UPDATE) held)::text;
    SELECT g.id INTO v_failed
    FROM json_to_recordset(p_idle_sessions) AS g (id uuid, idle_since timestamptz)
    WHERE EXISTS (
      SELECT FROM executions x
      WHERE x.session_id = g.id AND (x.finished_at IS NULL OR x.finished_at >= g.idle_since)
        AND (x.keeps_alive OR x.requested_at >= g.idle_since)
    ) OR EXISTS (SELECT FROM session_uses u WHERE u.session_id = g.id AND u.used_at >= g.idle_since) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'session in use' USING ERRCODE = 'CH006', DETAIL = v_failed::text;
    END IF;
  END IF;

  IF p_changed IS NOT NULL THEN
    FOR i IN 1..cardinality(p_changed) LOOP
      v_void := cellhouse_change_rows(p_changed_kinds[i], p_changed[i]::json)::text;
    END LOOP;
  END IF;

  IF p_worker_limits IS NOT NULL THEN
    v_void := pg_advisory_xact_lock(c_gate_class, c_workers)::text;
    SELECT together.count INTO v_count
    FROM json_to_recordset(p_worker_limits) AS l (pool_id uuid, added integer, maximum integer)
      CROSS JOIN LATERAL (
        SELECT l.added + count(*) AS count FROM workers w
        WHERE w.pool_id = l.pool_id AND w.state IN ('REQUESTED', 'STARTING', 'IDLE', 'ASSIGNED')
      ) together
    WHERE together.count > l.maximum LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'too many workers' USING ERRCODE = 'CH005', DETAIL = v_count::text;
    END IF;
  END IF;

  IF p_added IS NOT NULL THEN
    FOR i IN 1..cardinality(p_added) LOOP
      v_void := cellhouse_add_rows(p_added_kinds[i], p_added[i]::json, NULL)::text;
    END LOOP;
  END IF;

  IF p_output_seqs IS NOT NULL THEN
    IF p_is_repeated THEN
      INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
      SELECT unnest(p_output_execution_ids), unnest(p_output_seqs), unnest(p_output_kinds), unnest(p_output_bodies)::json,
        unnest(p_output_bytes), unnest(p_output_ats)
      ON CONFLICT (execution_id, seq) DO NOTHING;
    ELSE
      INSERT INTO output_events (execution_id, seq, kind, body, bytes, at)
      SELECT unnest(p_output_execution_ids), unnest(p_output_seqs), unnest(p_output_kinds), unnest(p_output_bodies)::json,
        unnest(p_output_bytes), unnest(p_output_ats);
    END IF;
  END IF;

  IF p_keys IS NOT NULL THEN
    INSERT INTO idempotency_keys (tenant, user_uuid, key, request_hash, execution_id)
    SELECT k.tenant, k.user_uuid, k.key, k.request_hash, k.execution_id FROM json_populate_recordset(NULL::idempotency_keys, p_keys) k;
  END IF;

  IF p_variables IS NOT NULL THEN
    INSERT INTO session_variables (session_id, name, value)
    SELECT v.session_id, v.name, v.value FROM json_populate_recordset(NULL::session_variables, p_variables) v
    WHERE v.session_id IS NOT NULL;
    INSERT INTO execution_variables (execution_id, name, value)
    SELECT v.execution_id, v.name, v.value FROM json_populate_recordset(NULL::execution_variables, p_variables) v
    WHERE v.execution_id IS NOT NULL AND v.name IS NOT NULL;
    INSERT INTO execution_inputs (execution_id, input_offset, base64)
    SELECT v.execution_id, v.input_offset, v.base64 FROM json_populate_recordset(NULL::execution_inputs, p_variables) v
    WHERE v.input_offset IS NOT NULL;
  END IF;

  IF p_events IS NULL THEN
    v_committed_at := date_trunc('milliseconds', clock_timestamp());
  ELSE
    v_void := pg_advisory_xact_lock(c_gate_class, c_append)::text;
    -- A separate statement, because its snapshot is newer than the lock. So it sees every event.
    SELECT e.position + 1, e.event_id INTO v_first, v_previous_event_id FROM events e ORDER BY e.position DESC LIMIT 1;
    v_first := coalesce(v_first, 1);
    v_committed_at := date_trunc('milliseconds', clock_timestamp());
    INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
    SELECT v_first - 1 + e.number, e.event_id, e.stream_id, e.version, e.type, e.schema_version, e.data, e.metadata, v_committed_at
    FROM json_to_recordset(p_events) AS e (
      number integer, event_id uuid, stream_id text, version integer, type text, schema_version integer, data jsonb, metadata jsonb);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_last := v_first - 1 + v_count;
    -- These rows hold a position, so they are written after it is known.
    IF p_placed IS NOT NULL THEN
      FOR i IN 1..cardinality(p_placed) LOOP
        v_void := cellhouse_add_rows(p_placed_kinds[i], p_placed[i]::json, v_first - 1)::text;
      END LOOP;
    END IF;
    IF v_last > p_quotas_until THEN
      v_quotas := cellhouse_require_quotas(p_quotas::json, v_first, v_last, v_committed_at);
    END IF;
  END IF;

  IF p_output_execution_ids IS NOT NULL THEN
    SELECT array_agg(x.id), array_agg(DISTINCT x.session_id) INTO v_execution_ids, v_session_ids
    FROM executions x WHERE x.id = ANY (p_output_execution_ids);
  END IF;
  -- g: this gateway, which ignores its own notifications. p: the last position.
  -- x and s: the executions and sessions with new outputs.
  IF v_last IS NOT NULL OR v_execution_ids IS NOT NULL THEN
    v_void := pg_notify('cellhouse', CASE WHEN cardinality(v_execution_ids) > c_max_named
      THEN json_build_object('g', p_gateway_id, 'p', coalesce(v_last, 0), 'x', '*', 's', '*')::text
      ELSE json_build_object('g', p_gateway_id, 'p', coalesce(v_last, 0),
        'x', coalesce(v_execution_ids, '{}'), 's', coalesce(v_session_ids, '{}'))::text END)::text;
  END IF;
  RETURN json_build_object('firstPosition', v_first, 'previousEventId', v_previous_event_id, 'committedAt', v_committed_at,
    'outputSessionIds', v_session_ids, 'quotas', v_quotas);
END;
$$;
