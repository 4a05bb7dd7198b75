/** Environments as the builder records them, for tests whose workers need no images. */
import type { Environment } from '../../src/domain/environment.ts';
import type { Database } from '../../src/events/database.ts';
import type { ServingEnvironment } from '../../src/events/queries/environmentQueries.ts';
import {
  commitOne,
  environmentBuilt,
  environmentRequested,
  onEnvironment,
} from '../../testkit/events.ts';

/** A new version of an environment, which is being built. */
export async function beginEnvironment(
  { store, queries }: Database,
  name: string,
): Promise<Environment> {
  const number = (await queries.lastNumberOf(name)) + 1;
  return await commitOne<'environment'>(store, environmentRequested({ name, number }));
}

/** A new version of an environment, which serves new sessions. Its image is named after it. */
export async function builtEnvironment(database: Database, name: string): Promise<Environment> {
  const begun = await beginEnvironment(database, name);
  const built = environmentBuilt({ imageId: `sha256:${name}-${begun.number}` });
  return await commitOne<'environment'>(database.store, onEnvironment(begun, built));
}

export async function removeEnvironment(
  { store }: Database,
  environment: Environment,
): Promise<void> {
  const data = { reason: 'removed', at: new Date().toISOString() } as const;
  await commitOne(store, onEnvironment(environment, { type: 'EnvironmentRemoved', data }));
}

/** The version that new sessions of this name get. Null: there is none. */
export async function servingOf(
  { servingEnvironments }: Pick<Database['queries'], 'servingEnvironments'>,
  name: string,
): Promise<ServingEnvironment | null> {
  return (await servingEnvironments()).find((each) => each.name === name) ?? null;
}
