import type { Environment } from '../../domain/environment.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateEnvironmentName } from './validateEnvironmentSpec.ts';

/** A version of an environment as a principal may see it. */
export interface EnvironmentView {
  readonly environment: Environment;
  /** Whether the principal may see its specification. A set-up script may contain what only operators may know. */
  readonly isWhole: boolean;
}

/** All versions that are not removed, by name, the newest of each first. */
export async function environments(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
): Promise<readonly EnvironmentView[]> {
  const all = await database.queries.environments();
  return all.map((environment) => viewOf(principal, environment));
}

/**
 * The newest version of a name, or the one with this number. Null: there is none, or it was removed.
 * @throws BAD_USER_INPUT for what cannot be a name
 */
export async function environment(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  name: string,
  version: number | null = null,
): Promise<EnvironmentView | null> {
  const versions = await database.queries.versionsOf(validateEnvironmentName(name));
  const found = versions.find(({ number }) => version === null || number === version);
  return found ? viewOf(principal, found) : null;
}

export function viewOf({ role }: Principal, found: Environment): EnvironmentView {
  return { environment: found, isWhole: role === 'OPERATOR' };
}

/** @throws NOT_FOUND, BAD_USER_INPUT */
export async function requireVersion(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  name: string,
  version: number | null,
): Promise<Environment> {
  const found = await environment(deps, principal, name, version);
  if (found === null)
    throw notFound('environment', version === null ? name : `${name}, version ${version}`);
  return found.environment;
}
