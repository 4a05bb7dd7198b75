import { pino } from 'pino';
import postgres from 'postgres';
import { ensureEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';

/** How many events of executions and sessions the installation with this data directory has recorded. */
export async function userEventCount(dataDir: string): Promise<number> {
  const address = await ensureEmbeddedPostgres({ dataDir, logger: pino({ level: 'silent' }) });
  const sql = postgres({ ...address, max: 1 });
  try {
    const [row] = await sql<{ count: number }[]>`
      SELECT count(*)::int AS count FROM events
      WHERE type LIKE 'Execution%' OR type LIKE 'Session%' OR type = 'WorkerAssigned'`;
    return row?.count ?? Number.NaN;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
