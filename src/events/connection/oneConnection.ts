import { type Client, type ClientOptions, createClient, type Sql } from './client.ts';
import type { DatabaseAddress } from './databaseAddress.ts';

const CLOSE_TIMEOUT_MS = 2_000;

/** A client with a single connection. Once that is lost, every query fails. */
export interface OneConnection extends Client {
  /**
   * Runs `work` in a transaction. If `work` fails, nothing of it stays.
   * @param mode after BEGIN, e.g. `READ ONLY`
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, mode?: string): Promise<T>;
}

/**
 * Runs the `work` of a command, or of a long read, on one connection, and closes it. A lost connection is not replaced.
 * Otherwise the rest of a transaction would run on the new connection, each statement by itself.
 * @throws Error as `work` does, or one that says that the connection was lost, with the code CONNECTION_CLOSED
 */
export async function onOneConnection<T>(
  address: DatabaseAddress,
  options: Omit<ClientOptions, 'maxConnections' | 'reconnects'>,
  work: (connection: OneConnection) => Promise<T>,
): Promise<T> {
  const client = createClient(address, { ...options, maxConnections: 1, reconnects: false });
  const { sql } = client;
  const transaction: OneConnection['transaction'] = (inside, mode) =>
    inTransaction(sql, inside, mode);
  let isLost = false;
  try {
    return await work({ ...client, transaction });
  } catch (cause: unknown) {
    // ROLLBACK fails only if the connection is lost. Then its transaction is over, too.
    await sql`ROLLBACK`.catch(() => {
      isLost = true;
      throw Object.assign(new Error(LOST, { cause }), { code: 'CONNECTION_CLOSED' });
    });
    throw cause;
  } finally {
    await client.close(isLost ? 0 : CLOSE_TIMEOUT_MS);
  }
}

/**
 * Runs `work` in a transaction of a client that has one connection, and does not reconnect. If `work` fails, the
 * transaction stays open, and the caller must roll it back or close the client.
 *
 * `sql.begin` of postgres.js cannot be used here. After the connection is lost, it still writes ROLLBACK to it, from a
 * timer. That throws a TypeError, which ends the process.
 * @param mode after BEGIN, e.g. `READ ONLY`
 */
export async function inTransaction<T>(
  sql: Sql,
  work: (sql: Sql) => Promise<T>,
  mode = '',
): Promise<T> {
  await sql.unsafe(`BEGIN ${mode}`);
  const result = await work(sql);
  await sql`COMMIT`;
  return result;
}

const LOST =
  'PostgreSQL could not be reached, or the connection to it was lost. What was done by then stays. Repeat this when the database is back.';
