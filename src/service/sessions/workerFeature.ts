import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { Worker } from '../../domain/worker.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The features that workers of earlier releases lack, in words. */
export const FEATURES = {
  processes: 'the process ids and signals of commands',
} as const;

export type WorkerFeature = keyof typeof FEATURES;

/**
 * Whether the worker's agent has the feature. Each worker is asked once.
 * @throws POOL_INITIALIZING if it does not answer
 */
export async function hasFeature(
  { pool }: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  feature: WorkerFeature,
): Promise<boolean> {
  try {
    return (await pool.featuresOf(worker)).has(feature);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}

/** The error for a worker that did not answer a call which can be sent again. */
export function workerAway(cause: unknown): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    "The session's worker does not answer now. Nothing was changed. Send the request again.",
    { retryAfterMs: RETRY_AFTER_MS },
    { cause },
  );
}

/** The error for an open session whose worker lacks the feature. A worker keeps its image for life. */
export function lacksFeature(feature: WorkerFeature): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The worker of this session was made by an earlier release, without ${FEATURES[feature]}. \`release\` the session. The next one has them, unless WORKER_IMAGE names an image of that release.`,
    { field: 'userUuid' },
  );
}
