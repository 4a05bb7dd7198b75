import type { Client } from '../connection/client.ts';

/** How many calls of one minute were refused for the same reason. */
export interface RefusedCalls {
  readonly minute: Date;
  /**
   * The id of the token, or `auth-token`. `unknown` stands for tokens that let nobody in, `other` for the calls beyond
   * the limit of rows in a minute.
   */
  readonly token: string;
  readonly operation: string;
  readonly code: string;
  count: number;
}

export function createRefusalQueries({ sql, answered }: Client) {
  return {
    /**
     * Adds to the counts. Several gateways may do so at the same time, because all lock the rows in the same order. A
     * call must not be repeated after a lost answer: the counts may have been added or not.
     */
    recordRefusedCalls: async (rows: readonly RefusedCalls[]): Promise<void> => {
      await answered(sql`
        INSERT INTO refused_calls AS r (minute, token, operation, code, count)
        SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::text::json)
          AS t (minute timestamptz, token text, operation text, code text, count bigint)
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (minute, token, operation, code) DO UPDATE SET count = r.count + excluded.count`);
    },
  };
}
