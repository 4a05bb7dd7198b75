import type { Environment } from '../../domain/environment.ts';
import type { EnvironmentId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

/** The version of an environment that new sessions get. */
export interface ServingEnvironment {
  readonly id: EnvironmentId;
  readonly name: string;
  readonly number: number;
  readonly imageId: string;
}

export function createEnvironmentQueries({ sql, answered }: Client) {
  return {
    environmentVersion: async (id: EnvironmentId): Promise<Environment | null> =>
      firstOrNull(await answered(sql<Environment[]>`SELECT * FROM environments WHERE id = ${id}`)),

    /** The versions with these ids, in the order of the ids. Null for an id of none. */
    environmentVersions: async (
      ids: readonly EnvironmentId[],
    ): Promise<readonly (Environment | null)[]> => {
      const rows = await answered(sql<Environment[]>`
        SELECT * FROM environments WHERE id = ANY (${[...ids]}::uuid[])`);
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id) ?? null);
    },

    /** All versions that are not removed, by name, the newest of each first. */
    environments: async (): Promise<Environment[]> =>
      await answered(sql<Environment[]>`
        SELECT * FROM environments WHERE removed_at IS NULL ORDER BY name, number DESC`),

    /** The version that has waited for its build for longest. Null: none waits. */
    environmentToBuild: async (): Promise<Environment | null> =>
      firstOrNull(
        await answered(sql<Environment[]>`
          SELECT * FROM environments WHERE state = 'BUILDING' AND removed_at IS NULL
          ORDER BY requested_at, id LIMIT 1`),
      ),

    /** Those of one name. */
    versionsOf: async (name: string): Promise<Environment[]> =>
      await answered(sql<Environment[]>`
        SELECT * FROM environments WHERE name = ${name} AND removed_at IS NULL ORDER BY number DESC`),

    /** The highest version that the name ever had, removed ones included. 0: none. */
    lastNumberOf: async (name: string): Promise<number> => {
      const [row] = await answered(sql<{ number: number }[]>`
        SELECT coalesce(max(number), 0) AS number FROM environments WHERE name = ${name}`);
      return row?.number ?? 0;
    },

    /** The newest version of the name that is READY and not removed. Null: there is none. */
    servingEnvironment: async (name: string): Promise<ServingEnvironment | null> =>
      firstOrNull(
        await answered(sql<ServingEnvironment[]>`
          SELECT id, name, number, image_id FROM environments
          WHERE name = ${name} AND state = 'READY' AND removed_at IS NULL
          ORDER BY number DESC LIMIT 1`),
      ),

    /** The images of all workers that are not removed. */
    imagesOfWorkers: async (): Promise<string[]> => {
      const rows = await answered(sql<{ imageId: string }[]>`
        SELECT DISTINCT image_id FROM workers WHERE state <> 'REMOVED'`);
      return rows.map(({ imageId }) => imageId);
    },

    /** The serving version of every name that has one, by name. */
    servingEnvironments: async (): Promise<ServingEnvironment[]> =>
      await answered(sql<ServingEnvironment[]>`
        SELECT DISTINCT ON (name) id, name, number, image_id FROM environments
        WHERE state = 'READY' AND removed_at IS NULL ORDER BY name, number DESC`),
  };
}
