-- Refuses a group of commits that exceeds a quota. cellhouse_commit calls it under the append lock, when the rows of
-- the group are written. Every commit that adds or ends a session or an execution takes that lock, so no other commit
-- can change a count until this group is committed or refused. Each statement sees everything that was committed before.
-- All counts are made from the rows of sessions and executions; nothing is stored for them.
--
-- A group is refused only for a kind of quota whose count it raises. So if a limit is lowered below the present count,
-- calls that do not raise that count still succeed.
--
-- SQLSTATE CH008: a quota would be exceeded. DETAIL: JSON with kind, scope (TENANT or USER), limit, used (without this
-- group), retryAfterMs and until (null: at any time).
CREATE OR REPLACE FUNCTION cellhouse_require_quotas(
  -- Up to three lists. Each row is for a tenant, or for one of its users (user_uuid). Up to position "until", the limit
  -- cannot have been reached, so nothing is counted.
  -- openSessions: {tenant, user_uuid, added, maximum, until}
  -- executions: {tenant, user_uuid, running, queued, max_commands, until}. A context runs one execution at a time, and
  --   a session max_commands commands; the other unfinished ones are queued. running and queued are the limits.
  -- minute: {tenant, user_uuid, added, maximum, until}: executions that are accepted in a minute of the clock (UTC)
  p_quotas json,
  -- The first and the last position of this group.
  p_first bigint,
  p_last bigint,
  p_committed_at timestamptz
-- What was counted: a list of {kind, tenant, userUuid, count}. Empty if nothing was counted.
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  -- The retry time for a quota that becomes free when a session or an execution ends.
  c_retry_after_ms CONSTANT integer := 1000;
  v_counted json[] := '{}';
  v_row record;
  v_minute timestamptz;
  v_from bigint;
BEGIN
  IF p_quotas -> 'openSessions' IS NOT NULL THEN
    FOR v_row IN
      SELECT q.tenant, q.user_uuid, q.added, q.maximum, (
        SELECT count(*) FROM sessions s
        WHERE s.tenant = q.tenant AND (q.user_uuid IS NULL OR s.user_uuid = q.user_uuid) AND s.closed_at IS NULL
      ) AS count
      FROM json_to_recordset(p_quotas -> 'openSessions')
        AS q (tenant text, user_uuid text, added integer, maximum bigint, until bigint)
      WHERE p_last > q.until
    LOOP
      v_counted := v_counted || cellhouse_quota_count('OPEN_SESSIONS', v_row.tenant, v_row.user_uuid,
        v_row.maximum, v_row.count - v_row.added, v_row.count, c_retry_after_ms, NULL);
    END LOOP;
  END IF;

  IF p_quotas -> 'executions' IS NOT NULL THEN
    FOR v_row IN
      SELECT q.tenant, q.user_uuid, q.running AS max_running, q.queued AS max_queued, c.*
      FROM json_to_recordset(p_quotas -> 'executions')
        AS q (tenant text, user_uuid text, running bigint, queued bigint, max_commands integer, until bigint)
        CROSS JOIN LATERAL (
          SELECT coalesce(sum(r.running), 0)::bigint AS running,
            coalesce(sum(r.running_before), 0)::bigint AS running_before,
            coalesce(sum(r.unfinished - r.running), 0)::bigint AS queued,
            coalesce(sum(r.unfinished_before - r.running_before), 0)::bigint AS queued_before
          FROM (
            SELECT u.unfinished, u.unfinished_before, least(u.unfinished, u.lanes) AS running,
              least(u.unfinished_before, u.lanes) AS running_before
            FROM (
              -- Each part begins with a condition on the quota's scope alone, so only the part for that scope is carried out.
              SELECT count(*) AS unfinished, count(*) FILTER (WHERE x.requested_position < p_first) AS unfinished_before,
                CASE x.language WHEN 'BASH' THEN q.max_commands ELSE 1 END AS lanes
              FROM executions x WHERE q.user_uuid IS NULL AND x.tenant = q.tenant AND x.finished_at IS NULL
              GROUP BY x.session_id, x.language, x.context_id
              UNION ALL
              SELECT count(*), count(*) FILTER (WHERE x.requested_position < p_first),
                CASE x.language WHEN 'BASH' THEN q.max_commands ELSE 1 END
              FROM executions x WHERE x.tenant = q.tenant AND x.user_uuid = q.user_uuid AND x.finished_at IS NULL
              GROUP BY x.session_id, x.language, x.context_id
            ) u
          ) r
        ) c
      WHERE p_last > q.until
    LOOP
      v_counted := v_counted
        || cellhouse_quota_count('RUNNING_EXECUTIONS', v_row.tenant, v_row.user_uuid,
          v_row.max_running, v_row.running_before, v_row.running, c_retry_after_ms, NULL)
        || cellhouse_quota_count('QUEUED_EXECUTIONS', v_row.tenant, v_row.user_uuid,
          v_row.max_queued, v_row.queued_before, v_row.queued, c_retry_after_ms, NULL);
    END LOOP;
  END IF;

  -- The beginning of the minute is looked up only if it is needed.
  IF (SELECT bool_or(p_last > q.until) FROM json_to_recordset(p_quotas -> 'minute') AS q (until bigint)) THEN
    v_minute := date_trunc('minute', p_committed_at);
    v_from := cellhouse_position_at(v_minute, p_last);
    FOR v_row IN
      SELECT q.tenant, q.user_uuid, q.added, q.maximum, (
        -- Each part begins with a condition on the quota's scope alone, so only the part for that scope is carried out.
        SELECT sum(part.count)::bigint FROM (
          SELECT count(*) AS count FROM executions x
          WHERE q.user_uuid IS NULL AND x.tenant = q.tenant AND x.requested_position >= v_from
          UNION ALL
          SELECT count(*) FROM executions x
          WHERE x.tenant = q.tenant AND x.user_uuid = q.user_uuid AND x.requested_position >= v_from
        ) part
      ) AS count
      FROM json_to_recordset(p_quotas -> 'minute')
        AS q (tenant text, user_uuid text, added integer, maximum bigint, until bigint)
      WHERE p_last > q.until
    LOOP
      v_counted := v_counted || cellhouse_quota_count('EXECUTIONS_PER_MINUTE', v_row.tenant, v_row.user_uuid,
        v_row.maximum, v_row.count - v_row.added, v_row.count,
        ceil(extract(epoch FROM v_minute + interval '1 minute' - p_committed_at) * 1000)::integer,
        v_minute + interval '1 minute');
    END LOOP;
  END IF;
  RETURN array_to_json(v_counted);
END;
$$;
