import type { Client } from '../connection/client.ts';

/** How many calls of one minute were refused for the same reason. */
export interface RefusedCalls {
  readonly minute: Date;
  /** Its id; `auth-token`; `unknown`, for those that let nobody in. */
  readonly token: string;
  readonly operation: string;
  readonly code: string;
  count: number;
}

export function createRefusalQueries({ sql, answered }: Client) {
  return {
    /**
     * Adds to the counts. Several gateways may do so at the same time, in the same order of rows. It is not repeated by
     * itself: if the answer is lost, they may have been added or not.
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
