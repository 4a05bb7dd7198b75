-- What auditors ask, as views: see docs/audit.md. Every column says what it means (\d+ in psql).
CREATE SCHEMA audit;
--> statement-breakpoint
COMMENT ON SCHEMA audit IS 'Who ran what, when, for how long, at what CPU cost, and how it ended. Read-only views; all times are UTC instants.';
--> statement-breakpoint
CREATE VIEW audit.executions AS SELECT
  x.id AS execution_id,
  x.tenant AS tenant,
  x.user_uuid AS user_uuid,
  x.session_id AS session_id,
  x.worker_id AS worker_id,
  e.metadata ->> 'gatewayId' AS gateway_id,
  x.status AS status,
  CASE jsonb_typeof(e.data -> 'code') WHEN 'string' THEN e.data ->> 'code' ELSE e.data -> 'code' ->> '$escaped' END AS code,
  x.code_sha256 AS code_sha256,
  x.code_bytes AS code_bytes,
  x.timeout_ms AS timeout_ms,
  x.idempotency_key AS idempotency_key,
  x.requested_at AS requested_at,
  x.started_at AS started_at,
  x.finished_at AS finished_at,
  x.queued_ms AS queued_ms,
  x.run_ms AS run_ms,
  x.cpu_ms AS cpu_ms,
  x.peak_memory_bytes AS peak_memory_bytes,
  x.output_bytes AS output_bytes,
  x.truncated AS is_truncated,
  x.state_lost AS is_state_lost,
  x.error_name AS error_name,
  x.error_value AS error_value,
  x.requested_position AS first_position
FROM executions x LEFT JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1;
--> statement-breakpoint
COMMENT ON VIEW audit.executions IS 'One row for each piece of code that was ever accepted: who ran it, when, at what cost, and how it ended.';
--> statement-breakpoint
COMMENT ON COLUMN audit.executions.execution_id IS 'The execution. Its stream of events is execution-<id>.';
COMMENT ON COLUMN audit.executions.tenant IS 'The tenant of whoever ran it.';
COMMENT ON COLUMN audit.executions.user_uuid IS 'The user who ran it, as the caller named them.';
COMMENT ON COLUMN audit.executions.session_id IS 'The session it ran in (audit.sessions).';
COMMENT ON COLUMN audit.executions.worker_id IS 'The worker it ran on (audit.workers).';
COMMENT ON COLUMN audit.executions.gateway_id IS 'The gateway that accepted it.';
COMMENT ON COLUMN audit.executions.status IS 'QUEUED, RUNNING, or how it ended: OK, ERROR, TIMEOUT, INTERRUPTED, CANCELLED, WORKER_LOST.';
COMMENT ON COLUMN audit.executions.code IS 'The code. Code with U+0000 or a lone surrogate, which SQL text cannot hold, is given as a JSON string literal. NULL once its events were archived.';
COMMENT ON COLUMN audit.executions.code_sha256 IS 'SHA-256 of the code in UTF-8, in hexadecimal.';
COMMENT ON COLUMN audit.executions.code_bytes IS 'Length of the code in UTF-8, in bytes.';
COMMENT ON COLUMN audit.executions.timeout_ms IS 'Its time limit in milliseconds, counted from the kernel''s start of it.';
COMMENT ON COLUMN audit.executions.idempotency_key IS 'The caller''s idempotency key; NULL if none was given.';
COMMENT ON COLUMN audit.executions.requested_at IS 'When it was accepted.';
COMMENT ON COLUMN audit.executions.started_at IS 'When the kernel began it; NULL if it never did.';
COMMENT ON COLUMN audit.executions.finished_at IS 'When it ended; NULL while it is queued or running.';
COMMENT ON COLUMN audit.executions.queued_ms IS 'Milliseconds from accepted to begun; NULL while it has not ended.';
COMMENT ON COLUMN audit.executions.run_ms IS 'Milliseconds from begun to ended; NULL if it never began or has not ended.';
COMMENT ON COLUMN audit.executions.cpu_ms IS 'CPU time of the whole container during the execution, in milliseconds; NULL if it is not known.';
COMMENT ON COLUMN audit.executions.peak_memory_bytes IS 'Highest memory use of the container seen during the execution, in bytes; NULL if it is not known.';
COMMENT ON COLUMN audit.executions.output_bytes IS 'Bytes of output the code produced, kept or not.';
COMMENT ON COLUMN audit.executions.is_truncated IS 'Whether some of its output was not kept.';
COMMENT ON COLUMN audit.executions.is_state_lost IS 'Whether variables were lost before or during it.';
COMMENT ON COLUMN audit.executions.error_name IS 'The Python exception''s class (or KernelDied, OutOfMemory); NULL without an error.';
COMMENT ON COLUMN audit.executions.error_value IS 'The exception''s message, shortened; NULL without an error.';
COMMENT ON COLUMN audit.executions.first_position IS 'Position of its first event: executions were accepted in this order.';
--> statement-breakpoint
CREATE VIEW audit.sessions AS SELECT
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
  u.output_bytes AS output_bytes
FROM sessions s CROSS JOIN LATERAL (
  SELECT count(*) AS executions,
    count(*) FILTER (WHERE x.finished_at IS NOT NULL AND x.status <> 'OK') AS failed_executions,
    coalesce(sum(x.run_ms), 0) AS run_ms, coalesce(sum(x.cpu_ms), 0) AS cpu_ms,
    coalesce(sum(x.output_bytes), 0)::bigint AS output_bytes,
    max(x.requested_at) AS last_requested_at, max(x.finished_at) AS last_finished_at
  FROM executions x WHERE x.session_id = s.id
) u;
--> statement-breakpoint
COMMENT ON VIEW audit.sessions IS 'One row for each session: which user was bound to which worker, from when to when, why it ended, and what it cost.';
--> statement-breakpoint
COMMENT ON COLUMN audit.sessions.session_id IS 'The session. Its stream of events is session-<id>.';
COMMENT ON COLUMN audit.sessions.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.sessions.user_uuid IS 'The user.';
COMMENT ON COLUMN audit.sessions.worker_id IS 'The worker that served it, and no other session ever (audit.workers).';
COMMENT ON COLUMN audit.sessions.opened_at IS 'When the worker was given to the user.';
COMMENT ON COLUMN audit.sessions.closed_at IS 'When it ended; NULL while it is open.';
COMMENT ON COLUMN audit.sessions.close_reason IS 'released, idle, expired, worker-lost or shutdown; NULL while it is open.';
COMMENT ON COLUMN audit.sessions.last_active_at IS 'The latest of: opened, an execution accepted, an execution ended.';
COMMENT ON COLUMN audit.sessions.is_after_loss IS 'Whether the user''s session before this one ended otherwise than by their own release.';
COMMENT ON COLUMN audit.sessions.kernel_restarts IS 'How often its kernel was replaced (each time, variables were lost).';
COMMENT ON COLUMN audit.sessions.executions IS 'Number of executions accepted in it.';
COMMENT ON COLUMN audit.sessions.failed_executions IS 'Those of them that ended otherwise than OK.';
COMMENT ON COLUMN audit.sessions.run_ms IS 'Sum of the milliseconds its executions ran.';
COMMENT ON COLUMN audit.sessions.cpu_ms IS 'Sum of the CPU milliseconds of its executions.';
COMMENT ON COLUMN audit.sessions.output_bytes IS 'Sum of the bytes its executions put out.';
--> statement-breakpoint
CREATE VIEW audit.workers AS SELECT
  w.id AS worker_id,
  w.pool_id AS pool_id,
  w.name AS name,
  w.state AS state,
  w.image_id AS image_id,
  w.runtime AS runtime,
  (w.limits ->> 'memoryMb')::double precision AS memory_mb,
  (w.limits ->> 'diskMb')::double precision AS disk_mb,
  (w.limits ->> 'cpus')::double precision AS cpus,
  (w.limits ->> 'pids')::integer AS pids,
  w.container_id AS container_id,
  w.session_id AS session_id,
  w.requested_at AS requested_at,
  w.started_at AS started_at,
  w.ready_at AS ready_at,
  w.ready_ms AS ready_ms,
  w.assigned_at AS assigned_at,
  w.ended_at AS ended_at,
  w.end_reason AS end_reason,
  w.exit_code AS exit_code,
  w.removed_at AS removed_at,
  extract(epoch FROM (coalesce(w.removed_at, clock_timestamp()) - w.started_at))::double precision * 1000 AS lifetime_ms
FROM workers w;
--> statement-breakpoint
COMMENT ON VIEW audit.workers IS 'One row for each worker that was ever asked for: its container, its limits, whom it served, and how it ended.';
--> statement-breakpoint
COMMENT ON COLUMN audit.workers.worker_id IS 'The worker. Its stream of events is worker-<id>.';
COMMENT ON COLUMN audit.workers.pool_id IS 'The pool it belongs to: the label cellhouse.pool of its container.';
COMMENT ON COLUMN audit.workers.name IS 'The container''s name.';
COMMENT ON COLUMN audit.workers.state IS 'REQUESTED, STARTING, IDLE, ASSIGNED, RETIRED, LOST or REMOVED.';
COMMENT ON COLUMN audit.workers.image_id IS 'The image it was made from.';
COMMENT ON COLUMN audit.workers.runtime IS 'The container runtime it runs under.';
COMMENT ON COLUMN audit.workers.memory_mb IS 'Its memory limit in MiB, its disk not included.';
COMMENT ON COLUMN audit.workers.disk_mb IS 'Its disk limit (tmpfs) in MiB.';
COMMENT ON COLUMN audit.workers.cpus IS 'Its CPU limit.';
COMMENT ON COLUMN audit.workers.pids IS 'Its limit of processes and threads.';
COMMENT ON COLUMN audit.workers.container_id IS 'The container; NULL if none was made.';
COMMENT ON COLUMN audit.workers.session_id IS 'The session it served (audit.sessions); NULL if none.';
COMMENT ON COLUMN audit.workers.requested_at IS 'When it was decided to make it.';
COMMENT ON COLUMN audit.workers.started_at IS 'When its container had started.';
COMMENT ON COLUMN audit.workers.ready_at IS 'When its kernel had answered.';
COMMENT ON COLUMN audit.workers.ready_ms IS 'Milliseconds from requested to ready.';
COMMENT ON COLUMN audit.workers.assigned_at IS 'When it was given to a session.';
COMMENT ON COLUMN audit.workers.ended_at IS 'When it was retired or found lost.';
COMMENT ON COLUMN audit.workers.end_reason IS 'Retired: released, idle, expired, shutdown, recycled. Lost: exited, oom, unreachable, create-failed, engine-restarted.';
COMMENT ON COLUMN audit.workers.exit_code IS 'Exit code of a lost worker''s container, where it is known.';
COMMENT ON COLUMN audit.workers.removed_at IS 'When its container was gone.';
COMMENT ON COLUMN audit.workers.lifetime_ms IS 'Milliseconds its container has existed, until now if it still does; NULL if none was made.';
--> statement-breakpoint
CREATE VIEW audit.usage_daily AS SELECT
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
--> statement-breakpoint
COMMENT ON VIEW audit.usage_daily IS 'What each user used on each day (UTC): one row for a day, tenant and user with at least one execution.';
--> statement-breakpoint
COMMENT ON COLUMN audit.usage_daily.day IS 'The day in UTC on which the executions were accepted.';
COMMENT ON COLUMN audit.usage_daily.tenant IS 'The user''s tenant.';
COMMENT ON COLUMN audit.usage_daily.user_uuid IS 'The user.';
COMMENT ON COLUMN audit.usage_daily.executions IS 'Number of executions accepted.';
COMMENT ON COLUMN audit.usage_daily.ok IS 'Those that ended OK.';
COMMENT ON COLUMN audit.usage_daily.errors IS 'Those that ended with a Python error or a dead kernel.';
COMMENT ON COLUMN audit.usage_daily.timeouts IS 'Those that hit their time limit.';
COMMENT ON COLUMN audit.usage_daily.interrupted IS 'Those that a user interrupted or cancelled.';
COMMENT ON COLUMN audit.usage_daily.worker_losses IS 'Those whose container was lost.';
COMMENT ON COLUMN audit.usage_daily.sessions IS 'Number of sessions they ran in.';
COMMENT ON COLUMN audit.usage_daily.queued_ms IS 'Sum of the milliseconds they waited for their kernel.';
COMMENT ON COLUMN audit.usage_daily.run_ms IS 'Sum of the milliseconds they ran.';
COMMENT ON COLUMN audit.usage_daily.cpu_ms IS 'Sum of their CPU milliseconds.';
COMMENT ON COLUMN audit.usage_daily.peak_memory_bytes IS 'The highest memory use of any of them, in bytes.';
COMMENT ON COLUMN audit.usage_daily.output_bytes IS 'Sum of the bytes they put out.';
