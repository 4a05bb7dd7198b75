CREATE OR REPLACE VIEW audit.refused_calls AS SELECT
  r.minute AS minute,
  r.token AS token,
  t.name AS name,
  r.operation AS operation,
  r.code AS code,
  r.count AS count
FROM refused_calls r LEFT JOIN tokens t ON t.id::text = r.token;

COMMENT ON VIEW audit.refused_calls IS 'How many calls were refused, one row for each minute, token, operation and reason. The counts of the last second of a killed gateway are missing.';
COMMENT ON COLUMN audit.refused_calls.minute IS 'The beginning of the minute, by the clock of the gateway.';
COMMENT ON COLUMN audit.refused_calls.token IS 'The id of the token (audit.tokens); auth-token; unknown, for tokens that let nobody in; other, for refusals beyond 4,096 different ones in the minute.';
COMMENT ON COLUMN audit.refused_calls.name IS 'What the maker of the token called it; NULL for auth-token, unknown and other.';
COMMENT ON COLUMN audit.refused_calls.operation IS 'What was called; authenticate, if the token let nobody in or had come too often; other, as for the token.';
COMMENT ON COLUMN audit.refused_calls.code IS 'FORBIDDEN, QUOTA_EXCEEDED or UNAUTHENTICATED, as docs/use/errors.md explains.';
COMMENT ON COLUMN audit.refused_calls.count IS 'How many.';
