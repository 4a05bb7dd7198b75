CREATE OR REPLACE VIEW audit.contexts AS SELECT
  c.id AS context_id,
  c.tenant AS tenant,
  c.user_uuid AS user_uuid,
  c.session_id AS session_id,
  c.worker_id AS worker_id,
  c.name AS name,
  c.working_directory AS working_directory,
  c.status AS status,
  c.created_at AS created_at,
  c.ready_ms AS ready_ms,
  c.kernel_restarts AS kernel_restarts,
  c.ended_at AS ended_at,
  c.end_reason AS end_reason,
  e.metadata -> 'actor' ->> 'token' AS actor_token,
  e.metadata -> 'actor' ->> 'role' AS actor_role,
  e.metadata -> 'actor' ->> 'tenant' AS actor_tenant,
  e.metadata -> 'actor' ->> 'door' AS actor_door
FROM contexts c LEFT JOIN events e ON e.stream_id = 'context-' || c.id AND e.version = 1;

COMMENT ON VIEW audit.contexts IS 'One row for each context that a user created beside the default one of a session.';
COMMENT ON COLUMN audit.contexts.context_id IS 'The context. Its stream of events is context-<id>.';
COMMENT ON COLUMN audit.contexts.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.contexts.user_uuid IS 'The user who created it.';
COMMENT ON COLUMN audit.contexts.session_id IS 'The session that it belongs to (audit.sessions).';
COMMENT ON COLUMN audit.contexts.worker_id IS 'The worker that has its kernel (audit.workers).';
COMMENT ON COLUMN audit.contexts.name IS 'Its name among the open contexts of the session; NULL if its user gave none.';
COMMENT ON COLUMN audit.contexts.working_directory IS 'The folder in which its kernel starts; NULL for the home.';
COMMENT ON COLUMN audit.contexts.status IS 'STARTING, READY, ENDING (its user has deleted it) or ENDED.';
COMMENT ON COLUMN audit.contexts.created_at IS 'When its creation was accepted.';
COMMENT ON COLUMN audit.contexts.ready_ms IS 'Milliseconds from its creation to the first answer of its kernel; NULL if it never answered.';
COMMENT ON COLUMN audit.contexts.kernel_restarts IS 'How often its kernel was replaced.';
COMMENT ON COLUMN audit.contexts.ended_at IS 'When it ended; NULL while it is open.';
COMMENT ON COLUMN audit.contexts.end_reason IS 'Why it ended: deleted, failed (its kernel could not be made), or the close_reason of its session; NULL while it is open.';
COMMENT ON COLUMN audit.contexts.actor_token IS 'The token of the call that created it: its id (audit.tokens), or auth-token. NULL once its events were pruned.';
COMMENT ON COLUMN audit.contexts.actor_role IS 'The role of that token.';
COMMENT ON COLUMN audit.contexts.actor_tenant IS 'The tenant of that token.';
COMMENT ON COLUMN audit.contexts.actor_door IS 'The wire by which the call came: graphql, files, or the name of a door.';
