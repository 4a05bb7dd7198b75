/** What an idle worker must be able to do before a session is opened with it. */
import { DomainError, RETRY_AFTER_MS } from '../../../domain/errors.ts';
import type { Worker } from '../../../domain/worker.ts';
import { ConcurrencyError } from '../../../events/store/eventStore.ts';
import type { ServiceDeps } from '../../serviceDeps.ts';
import { FEATURES, type WorkerFeature } from '../workerFeature.ts';

/**
 * Resolves if the claimed worker has the features.
 * @throws ConcurrencyError (`stream`) if the worker does not answer, so that the claim goes on with another one; what
 * {@link replaceOlder} throws if the worker lacks a feature
 */
export async function requireOfClaimed(
  { pool }: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  needed: readonly WorkerFeature[],
): Promise<void> {
  if (needed.every((feature) => pool.hasTold(worker.id, feature))) return;
  const features = await pool.featuresInTime(worker);
  if (features === null) throw new ConcurrencyError('stream');
  const missing = needed.find((feature) => !features.has(feature));
  if (missing !== undefined) await replaceOlder(pool, worker, FEATURES[missing]);
}

/**
 * Ends an idle worker that an earlier release has left, so that the claim gets another one. A worker with the present
 * image stays, because any other worker would lack the same feature.
 * @param lacks what the worker lacks, in words
 * @throws ConcurrencyError (`stream`) if the worker is ended; BAD_USER_INPUT if the image lacks it;
 * WORKER_START_FAILED if the engine cannot be asked for its image
 */
async function replaceOlder(
  pool: Pick<ServiceDeps['pool'], 'hasPresentImage' | 'retireIdle'>,
  worker: Worker,
  lacks: string,
): Promise<never> {
  const isPresent = await pool.hasPresentImage(worker).catch((cause: unknown) => {
    throw new DomainError(
      'WORKER_START_FAILED',
      `The idle workers were made by an earlier release, without ${lacks}, and the Docker engine does not answer. Nothing was changed. Send the request again.`,
      { retryAfterMs: RETRY_AFTER_MS },
      { cause },
    );
  });
  if (isPresent && worker.environmentId !== null)
    throw new DomainError(
      'BAD_USER_INPUT',
      `The workers of this environment lack ${lacks}: it was built on the image of an earlier release. After an update, it is built again by itself, unless that fails (see its versions). New workers then have what is missing.`,
    );
  if (isPresent)
    throw new DomainError(
      'BAD_USER_INPUT',
      `The workers of this installation lack ${lacks}: WORKER_IMAGE names an image of an earlier release. The operator can change that.`,
    );
  await pool.retireIdle(worker);
  throw new ConcurrencyError('stream');
}
