import { removeVersion } from '../../environments/upkeep.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type EnvironmentView, viewOf } from './environments.ts';
import { validateEnvironmentName } from './validateEnvironmentSpec.ts';

/**
 * Removes all versions of an environment. Open sessions keep their version. A build that is under way is cancelled.
 * Resolves with the newest version.
 * @throws NOT_FOUND, BAD_USER_INPUT
 */
export async function removeEnvironment(
  { database, now }: Pick<ServiceDeps, 'database' | 'now'>,
  principal: Principal,
  name: string,
): Promise<EnvironmentView> {
  const { versionsOf } = database.queries;
  const [newest, ...former] = await versionsOf(validateEnvironmentName(name));
  if (newest === undefined) throw notFound('environment', name);
  // The oldest first, so that none of them serves in between.
  for (const { id } of former.reverse()) await removeVersion({ database, now }, id, 'removed');
  const removed = await removeVersion({ database, now }, newest.id, 'removed');
  // Meanwhile, a gateway may have requested another version that replaces one of these.
  for (const { id, reason } of await versionsOf(name))
    if (reason !== 'asked') await removeVersion({ database, now }, id, 'removed');
  return viewOf(principal, removed ?? newest);
}
