-- The same as cellhouse_commit_2, without what was added there. Gateways of the former release call it during a rolling
-- update.
CREATE OR REPLACE FUNCTION cellhouse_commit(
  p_gateway_id text,
  p_is_repeated boolean,
  p_cursors json,
  p_guard_ids uuid[], p_guard_versions integer[],
  p_unfinished_limits json,
  p_worker_limits json,
  p_idle_sessions json,
  p_changed_kinds text[], p_changed text[],
  p_added_kinds text[], p_added text[],
  p_placed_kinds text[], p_placed text[],
  p_output_execution_ids uuid[], p_output_seqs integer[], p_output_kinds text[], p_output_bodies text[],
  p_output_bytes integer[], p_output_ats timestamptz[],
  p_keys json,
  p_events json
) RETURNS json LANGUAGE sql AS $$
  SELECT cellhouse_commit_2(
    p_gateway_id,
    p_is_repeated,
    p_cursors,
    p_guard_ids,
    p_guard_versions,
    p_unfinished_limits,
    p_worker_limits,
    p_idle_sessions,
    p_changed_kinds,
    p_changed,
    p_added_kinds,
    p_added,
    p_placed_kinds,
    p_placed,
    p_output_execution_ids,
    p_output_seqs,
    p_output_kinds,
    p_output_bodies,
    p_output_bytes,
    p_output_ats,
    p_keys,
    p_events,
    NULL)
$$;
