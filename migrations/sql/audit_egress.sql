CREATE OR REPLACE VIEW audit.egress AS SELECT
  c.minute AS minute,
  c.session_id AS session_id,
  s.tenant AS tenant,
  s.user_uuid AS user_uuid,
  s.worker_id AS worker_id,
  c.host AS host,
  c.port AS port,
  c.outcome AS outcome,
  c.connections AS connections,
  c.sent_bytes AS sent_bytes,
  c.received_bytes AS received_bytes
FROM egress_counts c LEFT JOIN sessions s ON s.id = c.session_id;

COMMENT ON VIEW audit.egress IS 'What code has reached outside its worker, or was refused: one row for each minute, session, host, port and outcome. A connection is made only once its row is there; the counts of the last second of a killed gateway are missing.';
COMMENT ON COLUMN audit.egress.minute IS 'The beginning of the minute, by the clock of the gateway.';
COMMENT ON COLUMN audit.egress.session_id IS 'The session whose code it was (audit.sessions).';
COMMENT ON COLUMN audit.egress.tenant IS 'The tenant of the user.';
COMMENT ON COLUMN audit.egress.user_uuid IS 'The user.';
COMMENT ON COLUMN audit.egress.worker_id IS 'The worker in which the code ran.';
COMMENT ON COLUMN audit.egress.host IS 'The name or address that was asked for. Empty if it cannot be read, for refusals beyond 32 different ones of the session in the minute, while too many rows wait for the database, and for a user who was forgotten.';
COMMENT ON COLUMN audit.egress.port IS 'The port; 0 without a host.';
COMMENT ON COLUMN audit.egress.outcome IS 'allowed: its host is listed, so it was resolved and dialled. private-address, unresolved, unreachable, timed-out: so many of the allowed ones failed, the first because of what the name resolves to. not-listed, malformed: it was refused before. too-many: a limit refused it, before or when its name was to be resolved.';
COMMENT ON COLUMN audit.egress.connections IS 'How many connections began, or were refused, in this minute.';
COMMENT ON COLUMN audit.egress.sent_bytes IS 'Bytes that went to the host in this minute, with headers.';
COMMENT ON COLUMN audit.egress.received_bytes IS 'Bytes that came from the host in this minute.';
