import type { DoorCall } from '../openDoor.ts';
import type { Reply } from './reply.ts';

/** `GET /status`: the numbers of workers, as far as the caller may know them. @throws DomainError */
export async function poolStatus({ service }: DoorCall): Promise<Reply> {
  const pool = await service.poolStatus();
  return {
    status: 200,
    body: {
      total_workers: pool.totalWorkers,
      busy_workers: pool.busyWorkers,
      idle_workers_in_pool: pool.idleWorkers,
      is_initializing: pool.isInitializing,
    },
  };
}
