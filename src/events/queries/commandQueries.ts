import type { EventId, ExecutionId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { CommandQueries } from './queries.ts';

export function createCommandQueries({ sql, answered }: Client): CommandQueries {
  return {
    pendingCommands: async (workerId) => {
      const [interrupts, restarts] = await Promise.all([
        answered(sql<{ requestId: EventId; executionId: ExecutionId }[]>`
          SELECT e.event_id AS request_id, x.id AS execution_id FROM executions x
          JOIN events e ON e.stream_id = 'execution-' || x.id AND e.type = 'InterruptRequested'
          WHERE x.worker_id = ${workerId} AND x.finished_at IS NULL ORDER BY e.position`),
        answered(sql<{ requestId: EventId }[]>`
          WITH told AS (
            SELECT e.event_id, e.position, e.type = 'KernelRestartRequested' AS is_request FROM sessions s
            JOIN events e ON e.stream_id = 'session-' || s.id
            WHERE s.worker_id = ${workerId} AND s.closed_at IS NULL
              AND (e.type = 'KernelRestartRequested' OR e.type = 'KernelRestarted' AND e.data ->> 'reason' = 'user')
          ), requests AS (
            SELECT *, row_number() OVER (ORDER BY position DESC) AS newest FROM told WHERE is_request
          ), answers AS (
            SELECT FROM told WHERE NOT is_request AND position > (SELECT min(position) FROM requests)
          )
          -- Each answer is of one request at least, in order, so the newest are those that may have none. (Two that were
          -- answered by one kernel leave one too many; the agent knows it.)
          SELECT event_id AS request_id FROM requests
          WHERE newest <= (SELECT count(*) FROM requests) - (SELECT count(*) FROM answers)
          ORDER BY position`),
      ]);
      return [
        ...interrupts.map((each) => ({ type: 'interrupt' as const, ...each })),
        ...restarts.map((each) => ({ type: 'restart' as const, ...each })),
      ];
    },
  };
}
