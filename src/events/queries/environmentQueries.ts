import type { Environment } from '../../domain/environment.ts';
import type { EnvironmentId, ExecutionId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './listQueries.ts';

/** The version of an environment that new sessions get. */
export interface ServingEnvironment {
  readonly id: EnvironmentId;
  readonly name: string;
  readonly number: number;
  readonly imageId: string;
}

/** The stored size of the log of a build. */
export interface BuildLogSize {
  readonly lastSeq: number;
  readonly bytes: number;
  /** How many attempts have begun. */
  readonly attempts: number;
}

export function createEnvironmentQueries({ sql, answered }: Client) {
  return {
    environmentVersion: async (id: EnvironmentId): Promise<Environment | null> =>
      firstOrNull(await answered(sql<Environment[]>`SELECT * FROM environments WHERE id = ${id}`)),

    /** The versions with these ids, in the order of the ids. Null for an id that no version has. */
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

    /**
     * The versions that wait for their build, in the order of their turns: first those that were never begun, then
     * those whose last attempt ended first.
     */
    environmentsToBuild: async (): Promise<Environment[]> =>
      await answered(sql<Environment[]>`
        SELECT e.* FROM environments e LEFT JOIN LATERAL (
          SELECT o.at FROM output_events o WHERE o.execution_id = e.id ORDER BY o.seq DESC LIMIT 1
        ) last ON true
        WHERE e.state = 'BUILDING' AND e.removed_at IS NULL
        ORDER BY last.at NULLS FIRST, e.requested_at, e.id`),

    /**
     * The stored size of the log of a build.
     * @param beginning the beginning of the line that the gateway writes to the log for each attempt
     */
    buildLogSize: async (log: ExecutionId, beginning: string): Promise<BuildLogSize> => {
      // Only the gateway's own lines are "stderr". They are searched in the text of the JSON, because `->>` fails for a
      // line that contains a NUL. In this text, quotes in a line are escaped, so no other line can match.
      const [row] = await answered(sql<BuildLogSize[]>`
        SELECT coalesce(max(seq), 0) AS last_seq, coalesce(sum(bytes), 0)::float8 AS bytes,
          (count(*) FILTER (WHERE body::text LIKE '%"stderr"%'
            AND body::text LIKE ${`%"${beginning}%`}))::int AS attempts
        FROM output_events WHERE execution_id = ${log}`);
      return row ?? { lastSeq: 0, bytes: 0, attempts: 0 };
    },

    /** The versions of one name that are not removed, the newest first. */
    versionsOf: async (name: string): Promise<Environment[]> =>
      await answered(sql<Environment[]>`
        SELECT * FROM environments WHERE name = ${name} AND removed_at IS NULL ORDER BY number DESC`),

    /** The highest version that the name ever had, removed ones included. 0: none. */
    lastNumberOf: async (name: string): Promise<number> => {
      const [row] = await answered(sql<{ number: number }[]>`
        SELECT coalesce(max(number), 0) AS number FROM environments WHERE name = ${name}`);
      return row?.number ?? 0;
    },

    /** The images of all workers that are not removed. */
    imagesOfWorkers: async (): Promise<string[]> => {
      const rows = await answered(sql<{ imageId: string }[]>`
        SELECT DISTINCT image_id FROM workers WHERE state <> 'REMOVED'`);
      return rows.map(({ imageId }) => imageId);
    },

    /**
     * For each name, the newest version that is READY and not removed, in the order of names. A name without such a
     * version is absent.
     */
    servingEnvironments: async (): Promise<ServingEnvironment[]> =>
      await answered(sql<ServingEnvironment[]>`
        SELECT DISTINCT ON (name) id, name, number, image_id FROM environments
        WHERE state = 'READY' AND removed_at IS NULL ORDER BY name, number DESC`),
  };
}
