import { DomainError } from '../../../domain/errors.ts';
import { notFound } from '../../notFound.ts';
import type { ServiceDeps } from '../../serviceDeps.ts';

/** A build takes some seconds to minutes. */
const RETRY_BUILDING_AFTER_MS = 5_000;

/**
 * Resolves if the environment has a version that serves new sessions. The pool then keeps idle workers of the
 * environment for a while.
 * @throws NOT_FOUND, ENVIRONMENT_NOT_READY
 */
export async function requireServing(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  name: string,
): Promise<void> {
  if (await pool.askFor(name)) return;
  const [newest] = await queries.versionsOf(name);
  if (newest === undefined) throw notFound('environment', name);
  const what =
    newest.state === 'BUILDING'
      ? 'It is still being built. Send the request again when it is ready.'
      : 'Its build failed. The operator finds the reason in `environment(name)`, and can create it again.';
  throw new DomainError(
    'ENVIRONMENT_NOT_READY',
    `The environment ${name} has no version that is ready. ${what}`,
    {
      environment: name,
      ...(newest.state === 'BUILDING' && { retryAfterMs: RETRY_BUILDING_AFTER_MS }),
    },
  );
}
