import {
  decideEnvironment,
  type Environment,
  type EnvironmentReason,
  type EnvironmentSpec,
} from '../domain/environment.ts';
import type { EnvironmentId, NewId } from '../domain/ids.ts';
import type { Database } from '../events/database.ts';
import { decideAgain } from '../events/store/decideAndCommit.ts';

export interface RequestDeps {
  readonly database: Pick<Database, 'queries' | 'store'>;
  readonly newId: NewId;
  readonly now: () => Date;
}

export interface EnvironmentRequest {
  readonly name: string;
  readonly spec: EnvironmentSpec;
  readonly reason: EnvironmentReason;
  readonly baseImageId: string;
  readonly hash: string;
  /** Whether a new version is requested even if the newest version that has not failed has the same hash. */
  readonly isRebuild: boolean;
}

/**
 * Records the request for a new version, with the next number. If the newest version that has not failed has the same
 * hash, returns that version and records nothing, unless `isRebuild` is set.
 */
export async function requestEnvironment(
  { database: { queries, store }, newId, now }: RequestDeps,
  { isRebuild, ...facts }: EnvironmentRequest,
): Promise<Environment> {
  return await decideAgain(async () => {
    const versions = await queries.versionsOf(facts.name);
    const newest = versions.find(({ state }) => state !== 'FAILED');
    if (newest?.hash === facts.hash && !isRebuild) return newest;
    const id = newId<EnvironmentId>();
    const events = decideEnvironment(
      {
        type: 'RequestEnvironment',
        at: now().toISOString(),
        environmentId: id,
        ...facts,
        number: (await queries.lastNumberOf(facts.name)) + 1,
      },
      null,
    );
    const { states } = await store.commit({
      streams: [{ stream: 'environment', id, state: null, events }],
    });
    return states[0] as Environment;
  });
}
