-- Changes of files, by whoever caused them. So far the API is the only source. The column `source` tells others apart.
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
  f.requested_position AS first_position
FROM file_changes f LEFT JOIN events e ON e.position = f.requested_position;

COMMENT ON VIEW audit.files IS 'One row for each change of a file that a client asked for through the API: who wrote, moved or deleted what. Never the content.';
COMMENT ON COLUMN audit.files.source IS 'Who changed the file: api, for a call of a client.';
COMMENT ON COLUMN audit.files.change_id IS 'The change. Its stream of events is fileChange-<id>.';
COMMENT ON COLUMN audit.files.execution_id IS 'The execution that changed the file; NULL for a call of a client.';
COMMENT ON COLUMN audit.files.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.files.user_uuid IS 'The user whose file it is.';
COMMENT ON COLUMN audit.files.session_id IS 'The session that has the file (audit.sessions).';
COMMENT ON COLUMN audit.files.worker_id IS 'The worker that has the file (audit.workers).';
COMMENT ON COLUMN audit.files.gateway_id IS 'The gateway that got the call. NULL once its events were pruned.';
COMMENT ON COLUMN audit.files.operation IS 'What was asked for: write, append, extract (a tar archive into a folder), make-directory, move or delete.';
COMMENT ON COLUMN audit.files.path IS 'The file or folder, as the caller named it: relative to the home, or absolute. Bytes that are not UTF-8 are written as \xNN.';
COMMENT ON COLUMN audit.files.to_path IS 'Where it was moved; NULL for other operations.';
COMMENT ON COLUMN audit.files.outcome IS 'WRITTEN, MOVED, DELETED, FAILED, or UNKNOWN: the change is under way, its gateway was killed, or the connection to the worker broke before the answer.';
COMMENT ON COLUMN audit.files.size_bytes IS 'Bytes. Written: counted by the gateway (of an append, the appended bytes; of an extract, the archive). Moved and deleted: as the worker reports. NULL without an outcome.';
COMMENT ON COLUMN audit.files.sha256 IS 'SHA-256 of the written bytes, computed by the gateway, in hexadecimal; NULL for other operations and for folders.';
COMMENT ON COLUMN audit.files.is_new IS 'Whether nothing was there before, as the worker reports; NULL if nothing was written.';
COMMENT ON COLUMN audit.files.files IS 'How many files and folders were deleted, as the worker reports; NULL for other operations.';
COMMENT ON COLUMN audit.files.error_code IS 'The error code that the caller got; NULL without an error.';
COMMENT ON COLUMN audit.files.requested_at IS 'When the change was recorded, before anything was sent to the worker.';
COMMENT ON COLUMN audit.files.finished_at IS 'When its outcome was recorded; NULL if none was.';
COMMENT ON COLUMN audit.files.first_position IS 'Position of its first event. It gives the order in which changes were accepted.';
