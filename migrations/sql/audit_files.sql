-- Changes of files by the API, as the gateway recorded them, and by executions, as their workers reported them. An
-- execution that changed nothing has no row.
CREATE OR REPLACE VIEW audit.files AS SELECT
  'api'::text AS source,
  f.id AS change_id,
  NULL::uuid AS execution_id,
  f.tenant AS tenant,
  f.user_uuid AS user_uuid,
  f.session_id AS session_id,
  f.worker_id AS worker_id,
  e.metadata ->> 'gatewayId' AS gateway_id,
  f.operation AS operation,
  f.path AS path,
  f.to_path AS to_path,
  CASE WHEN f.status = 'PENDING' OR f.may_have_happened THEN 'UNKNOWN' ELSE f.status END AS outcome,
  f.size AS size_bytes,
  f.sha256 AS sha256,
  f.is_new AS is_new,
  f.files AS files,
  f.error_code AS error_code,
  f.requested_at AS requested_at,
  f.finished_at AS finished_at,
  f.requested_position AS first_position,
  NULL::text AS reason,
  NULL::boolean AS is_shared,
  NULL::timestamptz AS modified_at,
  e.metadata -> 'actor' ->> 'token' AS actor_token,
  e.metadata -> 'actor' ->> 'role' AS actor_role,
  e.metadata -> 'actor' ->> 'tenant' AS actor_tenant,
  e.metadata -> 'actor' ->> 'door' AS actor_door
FROM file_changes f LEFT JOIN events e ON e.position = f.requested_position
UNION ALL SELECT
  'execution',
  NULL,
  x.id,
  x.tenant,
  x.user_uuid,
  x.session_id,
  x.worker_id,
  e.metadata ->> 'gatewayId',
  lower(c.change ->> 'change'),
  c.change ->> 'path',
  NULL,
  CASE WHEN c.change IS NULL THEN 'UNKNOWN' WHEN c.change ->> 'change' = 'DELETED' THEN 'DELETED' ELSE 'WRITTEN' END,
  (c.change ->> 'size')::bigint,
  NULL,
  NULL,
  NULL,
  NULL,
  x.started_at,
  x.finished_at,
  x.requested_position,
  x.files ->> 'reason',
  (x.files ->> 'shared')::boolean,
  (c.change ->> 'modifiedAt')::timestamptz,
  e.metadata -> 'actor' ->> 'token',
  e.metadata -> 'actor' ->> 'role',
  e.metadata -> 'actor' ->> 'tenant',
  e.metadata -> 'actor' ->> 'door'
FROM executions x
  -- One row without a change if nobody knows the changes.
  LEFT JOIN LATERAL jsonb_array_elements(nullif(x.files -> 'changes', 'null')) AS c (change) ON true
  LEFT JOIN events e ON e.position = x.requested_position
WHERE x.files -> 'changes' <> '[]';

COMMENT ON VIEW audit.files IS 'One row for each change of a file, by a client through the API or by an execution: who wrote, moved or deleted what. Never the content.';
COMMENT ON COLUMN audit.files.source IS 'Who changed the file: api, for a call of a client; execution, for code.';
COMMENT ON COLUMN audit.files.change_id IS 'The change. Its stream of events is fileChange-<id>. NULL for an execution.';
COMMENT ON COLUMN audit.files.execution_id IS 'The execution that changed the file; NULL for a call of a client.';
COMMENT ON COLUMN audit.files.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.files.user_uuid IS 'The user whose file it is.';
COMMENT ON COLUMN audit.files.session_id IS 'The session that has the file (audit.sessions).';
COMMENT ON COLUMN audit.files.worker_id IS 'The worker that has the file (audit.workers).';
COMMENT ON COLUMN audit.files.gateway_id IS 'The gateway that got the call. NULL once its events were pruned.';
COMMENT ON COLUMN audit.files.operation IS 'What was asked for: write, append, extract (a tar archive into a folder), make-directory, move or delete. Of an execution, what happened: created, modified or deleted; NULL if nobody knows.';
COMMENT ON COLUMN audit.files.path IS 'The file or folder, as the caller named it: relative to the home, or absolute. Of an execution: relative to the home, as the worker reports; NULL if nobody knows. Bytes that are not UTF-8 are written as \xNN.';
COMMENT ON COLUMN audit.files.to_path IS 'Where it was moved; NULL for other operations.';
COMMENT ON COLUMN audit.files.outcome IS 'WRITTEN, MOVED, DELETED, FAILED, or UNKNOWN: the change is under way, its gateway was killed, or the connection to the worker broke before the answer. Of an execution: UNKNOWN if nobody knows what it changed (see reason).';
COMMENT ON COLUMN audit.files.size_bytes IS 'Bytes. Written: counted by the gateway (of an append, the appended bytes; of an extract, the archive). Moved, deleted and changed by an execution: as the worker reports. NULL without an outcome.';
COMMENT ON COLUMN audit.files.sha256 IS 'SHA-256 of the written bytes, computed by the gateway, in hexadecimal; NULL for other operations, for folders and for executions.';
COMMENT ON COLUMN audit.files.is_new IS 'Whether nothing was there before, as the worker reports; NULL if nothing was written.';
COMMENT ON COLUMN audit.files.files IS 'How many files and folders were deleted, as the worker reports; NULL for other operations.';
COMMENT ON COLUMN audit.files.error_code IS 'The error code that the caller got; NULL without an error.';
COMMENT ON COLUMN audit.files.requested_at IS 'When the change was recorded, before anything was sent to the worker. Of an execution: when it started.';
COMMENT ON COLUMN audit.files.finished_at IS 'When its outcome was recorded; NULL if none was. Of an execution: when it ended.';
COMMENT ON COLUMN audit.files.first_position IS 'Position of its first event. It gives the order in which changes were accepted.';
COMMENT ON COLUMN audit.files.reason IS 'Why nobody knows what an execution changed (docs/use/files.md); otherwise NULL.';
COMMENT ON COLUMN audit.files.is_shared IS 'Whether other code or the API may have made the change, because it ran at the same time; NULL for a call of a client.';
COMMENT ON COLUMN audit.files.modified_at IS 'The file''s time of modification, which code can set to any time; NULL for a call of a client, and for a deleted file.';
COMMENT ON COLUMN audit.files.actor_token IS 'The token of the call, or of the call that sent the code: its id (audit.tokens), or auth-token. NULL once its events were pruned.';
COMMENT ON COLUMN audit.files.actor_role IS 'The role of that token.';
COMMENT ON COLUMN audit.files.actor_tenant IS 'The tenant of that token.';
COMMENT ON COLUMN audit.files.actor_door IS 'The wire by which the call came: graphql, files, or the name of a door.';
