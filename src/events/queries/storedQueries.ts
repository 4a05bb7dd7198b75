/** How many bytes the records of executions take (decision 0048). */
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import { quotaOwnerKey } from '../../domain/quota.ts';
import type { Client } from '../connection/client.ts';
import type { DatabaseAddress } from '../connection/databaseAddress.ts';
import { type OneConnection, onOneConnection } from '../connection/oneConnection.ts';

/** How many bytes the records of executions take, as of a position. */
export interface StoredUse {
  /** The position of the last event that is included. */
  readonly position: number;
  /** One for each user. */
  readonly uses: readonly StoredOfUser[];
  /** The executions that had not ended then. Their code and input are in `uses`, and their output is not. */
  readonly unfinished: readonly Pick<Execution, 'id' | 'tenant' | 'userUuid'>[];
}

/** Bytes of code, input and output of some executions of a user. */
export interface StoredOfUser extends Pick<Execution, 'tenant' | 'userUuid'> {
  readonly bytes: number;
}

/** How many blocks of 8 KiB one statement reads: few enough to be quick, whatever the size of the table. */
const PAGE_BLOCKS = 8_192;

/** @param address of the same database: the long read has a connection of its own, so it holds up no others */
export function createStoredQueries({ sql, answered }: Client, address: DatabaseAddress) {
  /** Columns for executions `x`. A pruned execution keeps its row. */
  const stored = sql`
    x.tenant, x.user_uuid,
    sum(x.code_bytes + x.input_bytes + coalesce(x.stored_output_bytes, 0))::float8 AS bytes`;

  /** A forgotten execution keeps its row, too, with its sizes. But its code has no hash any more. */
  const isKept = sql`x.code_sha256 <> ''`;

  /** The sum of each user over a range of blocks. */
  const readPage = async (one: OneConnection, from: number, to: number) =>
    await one.answered(one.sql<StoredOfUser[]>`
      SELECT ${stored} FROM executions x
      WHERE x.ctid >= ${`(${from},0)`}::text::tid AND x.ctid < ${`(${to},0)`}::text::tid
        AND ${isKept} AND NOT EXISTS (SELECT FROM pruned_streams p WHERE p.stream_id = 'execution-' || x.id)
      GROUP BY x.tenant, x.user_uuid`);

  return {
    /**
     * The bytes of all executions that are neither pruned nor forgotten. This reads the whole table once, in the order
     * of its blocks, as of one snapshot.
     * @param pageBlocks how many blocks one statement reads
     */
    storedUse: async (pageBlocks = PAGE_BLOCKS): Promise<StoredUse> =>
      await onOneConnection(address, { name: 'stored' }, (one) =>
        one.transaction(async () => {
          const { blocks, ...start } = await readStart(one);
          const sums = createSums();
          for (let from = 0; from < blocks; from += pageBlocks)
            sums.add(await readPage(one, from, from + pageBlocks));
          return { ...start, uses: sums.all() };
        }, 'ISOLATION LEVEL REPEATABLE READ READ ONLY'),
      ),

    /**
     * The bytes of these executions, which must have ended. Executions that were pruned meanwhile count, forgotten ones
     * do not.
     */
    storedOf: async (executionIds: readonly ExecutionId[]): Promise<StoredOfUser[]> =>
      await answered(sql<StoredOfUser[]>`
        SELECT ${stored} FROM executions x
        WHERE x.id = ANY (${[...executionIds]}::uuid[]) AND ${isKept} GROUP BY x.tenant, x.user_uuid`),
  };
}

type Start = Pick<StoredUse, 'position' | 'unfinished'> & {
  /** How many blocks the table has. Rows in later blocks are added later. */
  readonly blocks: number;
};

async function readStart({ sql, answered }: OneConnection): Promise<Start> {
  // These settings make PostgreSQL look up for each single execution whether it is pruned. Otherwise, each page would
  // read the whole table of pruned streams.
  await answered(
    sql`SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`,
  );
  const [start] = await answered(sql<Start[]>`
    SELECT (SELECT coalesce(max(e.position), 0) FROM events e) AS position,
      (SELECT coalesce(json_agg(r), '[]') FROM (
        SELECT x.id AS "id", x.tenant AS "tenant", x.user_uuid AS "userUuid"
        FROM executions x WHERE x.finished_at IS NULL) r) AS unfinished,
      pg_relation_size('executions') / current_setting('block_size')::int AS blocks`);
  return start ?? { position: 0, unfinished: [], blocks: 0 };
}

function createSums() {
  const byUser = new Map<string, StoredOfUser>();
  return {
    add: (uses: readonly StoredOfUser[]) => {
      for (const { bytes, ...user } of uses) {
        const key = quotaOwnerKey(user);
        byUser.set(key, { ...user, bytes: bytes + (byUser.get(key)?.bytes ?? 0) });
      }
    },
    all: () => [...byUser.values()],
  };
}
