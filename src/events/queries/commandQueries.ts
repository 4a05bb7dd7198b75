import type { EventId, ExecutionId, WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';

/** What a user asked of a worker; `requestId` is the event that recorded it. */
export type PendingCommand =
  | { readonly type: 'interrupt'; readonly requestId: EventId; readonly executionId: ExecutionId }
  | { readonly type: 'restart'; readonly requestId: EventId };

export function createCommandQueries({ sql, answered }: Client) {
  return {
    /**
     * Every interrupt of an execution that has not ended, and every request for a fresh kernel that may not have been answered:
     * each may have been sent to the agent already.
     */
    pendingCommands: async (workerId: WorkerId): Promise<PendingCommand[]> => {
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
