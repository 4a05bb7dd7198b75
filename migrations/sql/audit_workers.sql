CREATE OR REPLACE VIEW audit.workers AS SELECT
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
  extract(epoch FROM (coalesce(w.removed_at, clock_timestamp()) - w.started_at))::double precision * 1000 AS lifetime_ms,
  w.environment_id AS environment_id
FROM workers w;

COMMENT ON VIEW audit.workers IS 'One row for each worker that was ever requested: its container, its limits, the session it served, and how it ended.';
COMMENT ON COLUMN audit.workers.worker_id IS 'The worker. Its stream of events is worker-<id>.';
COMMENT ON COLUMN audit.workers.pool_id IS 'The pool that it belongs to. The label cellhouse.pool of its container has the same value.';
COMMENT ON COLUMN audit.workers.name IS 'The container''s name.';
COMMENT ON COLUMN audit.workers.state IS 'REQUESTED, STARTING, IDLE, ASSIGNED, RETIRED, LOST or REMOVED.';
COMMENT ON COLUMN audit.workers.image_id IS 'The image of its container.';
COMMENT ON COLUMN audit.workers.runtime IS 'The container runtime that runs it.';
COMMENT ON COLUMN audit.workers.memory_mb IS 'Its memory limit in MiB, its disk not included.';
COMMENT ON COLUMN audit.workers.disk_mb IS 'Its disk limit (tmpfs) in MiB.';
COMMENT ON COLUMN audit.workers.cpus IS 'Its CPU limit.';
COMMENT ON COLUMN audit.workers.pids IS 'Its limit of processes and threads.';
COMMENT ON COLUMN audit.workers.container_id IS 'Its container; NULL if none was made.';
COMMENT ON COLUMN audit.workers.session_id IS 'The session that it served (audit.sessions); NULL if none.';
COMMENT ON COLUMN audit.workers.requested_at IS 'When a gateway decided to make it.';
COMMENT ON COLUMN audit.workers.started_at IS 'When its container started; NULL if it never did.';
COMMENT ON COLUMN audit.workers.ready_at IS 'When its kernel first answered; NULL if it never did.';
COMMENT ON COLUMN audit.workers.ready_ms IS 'Milliseconds from its request until its kernel answered.';
COMMENT ON COLUMN audit.workers.assigned_at IS 'When it was given to a session.';
COMMENT ON COLUMN audit.workers.ended_at IS 'When its end was recorded: it was retired, or found lost.';
COMMENT ON COLUMN audit.workers.end_reason IS 'Why it ended. If retired: released, idle, expired, shutdown or recycled. If lost: exited, oom, unreachable, create-failed or engine-restarted.';
COMMENT ON COLUMN audit.workers.exit_code IS 'Exit code of the container of a lost worker; NULL if unknown.';
COMMENT ON COLUMN audit.workers.removed_at IS 'When its container was found to be gone; NULL before that.';
COMMENT ON COLUMN audit.workers.lifetime_ms IS 'Milliseconds for which its container existed, until now if it still exists; NULL if it never started.';
COMMENT ON COLUMN audit.workers.environment_id IS 'The version of the environment whose image it has (audit.environments); NULL for the worker image alone.';
