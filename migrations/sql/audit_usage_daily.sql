CREATE OR REPLACE VIEW audit.usage_daily AS SELECT
  (x.requested_at AT TIME ZONE 'UTC')::date AS day,
  x.tenant AS tenant,
  x.user_uuid AS user_uuid,
  count(*) AS executions,
  count(*) FILTER (WHERE x.status = 'OK') AS ok,
  count(*) FILTER (WHERE x.status = 'ERROR') AS errors,
  count(*) FILTER (WHERE x.status = 'TIMEOUT') AS timeouts,
  count(*) FILTER (WHERE x.status IN ('INTERRUPTED', 'CANCELLED')) AS interrupted,
  count(*) FILTER (WHERE x.status = 'WORKER_LOST') AS worker_losses,
  count(DISTINCT x.session_id) AS sessions,
  coalesce(sum(x.queued_ms), 0) AS queued_ms,
  coalesce(sum(x.run_ms), 0) AS run_ms,
  coalesce(sum(x.cpu_ms), 0) AS cpu_ms,
  max(x.peak_memory_bytes) AS peak_memory_bytes,
  coalesce(sum(x.output_bytes), 0)::bigint AS output_bytes
FROM executions x GROUP BY 1, 2, 3;

COMMENT ON VIEW audit.usage_daily IS 'What each user used on each day (UTC). One row for each day, tenant and user with at least one execution.';
COMMENT ON COLUMN audit.usage_daily.day IS 'The day in UTC on which the executions were accepted.';
COMMENT ON COLUMN audit.usage_daily.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.usage_daily.user_uuid IS 'The user.';
COMMENT ON COLUMN audit.usage_daily.executions IS 'Number of executions accepted.';
COMMENT ON COLUMN audit.usage_daily.ok IS 'How many of them ended with status OK.';
COMMENT ON COLUMN audit.usage_daily.errors IS 'How many of them ended with status ERROR, such as by an exception or a failed command.';
COMMENT ON COLUMN audit.usage_daily.timeouts IS 'How many of them reached their time limit.';
COMMENT ON COLUMN audit.usage_daily.interrupted IS 'How many of them were interrupted or cancelled.';
COMMENT ON COLUMN audit.usage_daily.worker_losses IS 'How many of them ended because their worker was lost.';
COMMENT ON COLUMN audit.usage_daily.sessions IS 'Number of sessions in which they ran.';
COMMENT ON COLUMN audit.usage_daily.queued_ms IS 'Sum of the milliseconds that they waited for their start.';
COMMENT ON COLUMN audit.usage_daily.run_ms IS 'Sum of the milliseconds that they ran.';
COMMENT ON COLUMN audit.usage_daily.cpu_ms IS 'Sum of their CPU milliseconds.';
COMMENT ON COLUMN audit.usage_daily.peak_memory_bytes IS 'The highest memory use of any of them, in bytes.';
COMMENT ON COLUMN audit.usage_daily.output_bytes IS 'Sum of the bytes of output that they produced.';
