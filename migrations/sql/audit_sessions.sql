CREATE OR REPLACE VIEW audit.sessions AS SELECT
  s.id AS session_id,
  s.tenant AS tenant,
  s.user_uuid AS user_uuid,
  s.worker_id AS worker_id,
  s.opened_at AS opened_at,
  s.closed_at AS closed_at,
  s.close_reason AS close_reason,
  greatest(s.opened_at, u.last_requested_at, u.last_finished_at) AS last_active_at,
  s.follows_loss AS is_after_loss,
  s.kernel_restarts AS kernel_restarts,
  u.executions AS executions,
  u.failed_executions AS failed_executions,
  u.run_ms AS run_ms,
  u.cpu_ms AS cpu_ms,
  u.output_bytes AS output_bytes,
  s.has_options AS has_options,
  s.metadata AS metadata,
  s.environment_variable_names AS environment_variable_names,
  s.idle_timeout_ms AS idle_timeout_ms,
  s.max_life_ms AS max_life_ms,
  s.expires_at AS expires_at,
  e.metadata -> 'actor' ->> 'token' AS actor_token,
  e.metadata -> 'actor' ->> 'role' AS actor_role,
  e.metadata -> 'actor' ->> 'tenant' AS actor_tenant,
  e.metadata -> 'actor' ->> 'door' AS actor_door,
  s.egress_allow AS egress_allow,
  s.environment AS environment
FROM sessions s LEFT JOIN events e ON e.stream_id = 'session-' || s.id AND e.version = 1 CROSS JOIN LATERAL (
  SELECT count(*) AS executions,
    count(*) FILTER (WHERE x.finished_at IS NOT NULL AND x.status <> 'OK') AS failed_executions,
    coalesce(sum(x.run_ms), 0) AS run_ms, coalesce(sum(x.cpu_ms), 0) AS cpu_ms,
    coalesce(sum(x.output_bytes), 0)::bigint AS output_bytes,
    max(x.requested_at) AS last_requested_at, max(x.finished_at) AS last_finished_at
  FROM executions x WHERE x.session_id = s.id
) u;

COMMENT ON VIEW audit.sessions IS 'One row for each session: which user had which worker, from when to when, why it ended, and what it cost.';
COMMENT ON COLUMN audit.sessions.session_id IS 'The session. Its stream of events is session-<id>.';
COMMENT ON COLUMN audit.sessions.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.sessions.user_uuid IS 'The user.';
COMMENT ON COLUMN audit.sessions.worker_id IS 'The worker that served it (audit.workers). A worker serves only one session.';
COMMENT ON COLUMN audit.sessions.opened_at IS 'When the worker was given to the user.';
COMMENT ON COLUMN audit.sessions.closed_at IS 'When it was closed; NULL while it is open.';
COMMENT ON COLUMN audit.sessions.close_reason IS 'Why it was closed: released, idle, expired, worker-lost or shutdown; NULL while it is open.';
COMMENT ON COLUMN audit.sessions.last_active_at IS 'When it was opened, or when an execution was last accepted or ended.';
COMMENT ON COLUMN audit.sessions.is_after_loss IS 'Whether the user''s previous session ended for another reason than their own release, so that its variables are lost.';
COMMENT ON COLUMN audit.sessions.kernel_restarts IS 'How often its kernel was replaced. Each time, its variables were lost.';
COMMENT ON COLUMN audit.sessions.executions IS 'Number of executions accepted in it.';
COMMENT ON COLUMN audit.sessions.failed_executions IS 'How many of its executions have ended with a status other than OK.';
COMMENT ON COLUMN audit.sessions.run_ms IS 'Sum of the milliseconds that its executions ran.';
COMMENT ON COLUMN audit.sessions.cpu_ms IS 'Sum of the CPU milliseconds of its executions.';
COMMENT ON COLUMN audit.sessions.output_bytes IS 'Sum of the bytes of output that its executions produced.';
COMMENT ON COLUMN audit.sessions.has_options IS 'Whether it was opened with options.';
COMMENT ON COLUMN audit.sessions.metadata IS 'The metadata that its caller gave it: an object of strings.';
COMMENT ON COLUMN audit.sessions.environment_variable_names IS 'The names of its environment variables. Their values are stored only while it is open, and nowhere in this schema.';
COMMENT ON COLUMN audit.sessions.idle_timeout_ms IS 'Its own idle time in milliseconds; NULL for that of the settings.';
COMMENT ON COLUMN audit.sessions.max_life_ms IS 'The life in milliseconds that it was opened with; NULL for that of the settings.';
COMMENT ON COLUMN audit.sessions.expires_at IS 'When its life ends or would have ended, as last changed; NULL if the settings alone decided.';
COMMENT ON COLUMN audit.sessions.actor_token IS 'The token of the call that opened it: its id (audit.tokens), or auth-token. NULL once its events were pruned.';
COMMENT ON COLUMN audit.sessions.actor_role IS 'The role of that token.';
COMMENT ON COLUMN audit.sessions.actor_tenant IS 'The tenant of that token.';
COMMENT ON COLUMN audit.sessions.actor_door IS 'The wire by which the call came: graphql, files, or the name of a door.';
COMMENT ON COLUMN audit.sessions.egress_allow IS 'The hosts that its code may reach, if it was opened with fewer than its tenant may reach; NULL for all of these.';
COMMENT ON COLUMN audit.sessions.environment IS 'The name of the environment that it was opened in; NULL for none. Its version is that of its worker (audit.workers).';
