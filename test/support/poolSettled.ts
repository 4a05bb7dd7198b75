import type { TestGateway } from './gateway.ts';
import type { PoolStatus } from './interpreter.ts';

const LIMIT_MS = 60_000;

/** Resolves with the pool's status once none of its workers is on the way. @throws Error after a minute */
export async function poolSettled(gateway: TestGateway): Promise<PoolStatus> {
  const statuses = gateway
    .socket()
    .iterate<{ poolStatus: PoolStatus & { minIdleWorkers: number } }>({
      query: `subscription { poolStatus {
      totalWorkers idleWorkers busyWorkers startingWorkers minIdleWorkers } }`,
    });
  const limit = setTimeout(
    () => void statuses.throw?.(new Error('The pool did not settle.')),
    LIMIT_MS,
  );
  try {
    for await (const { data } of statuses) {
      if (!data) continue;
      const { minIdleWorkers, ...status } = data.poolStatus;
      if (status.startingWorkers === 0 && status.idleWorkers >= minIdleWorkers) return status;
    }
  } finally {
    clearTimeout(limit);
  }
  throw new Error('The connection ended before the pool settled.');
}
