/** Measures how long each query in docs/run/audit.md takes, exactly as printed there. */
import { readFileSync } from 'node:fs';
import type { DatabaseAddress } from '../../src/events/connection/client.ts';
import type { Figure } from '../suite/bench.ts';
import { withSql } from '../support/benchDatabase.ts';
import { percentile } from '../support/percentile.ts';

const TARGET_MS = 1_000;
/** Matches a section of the page: its number and question, then its query. */
const SECTION = /^### (\d+\. .+)$[\s\S]*?```sql\n([\s\S]*?)```/gm;

/** The target applies if there are at least this many executions. */
const TARGET_EXECUTIONS = 1_000_000;

/** Runs the queries in turns. The first run of each does not count. @param executions how many the database holds */
export async function measureAuditQueries(
  address: DatabaseAddress,
  rounds: number,
  executions: number,
): Promise<Figure[]> {
  // Relative to the project's root, because the compiled file is elsewhere.
  const page = readFileSync('docs/run/audit.md', 'utf8');
  const queries = [...page.matchAll(SECTION)].map(([, question = '', query = '']) => ({
    question,
    query,
    tookMs: [] as number[],
  }));
  if (queries.length === 0) throw new Error('docs/run/audit.md has no queries.');
  await withSql(address, async (sql) => {
    for (let round = 0; round <= rounds; round += 1) {
      for (const { query, tookMs } of queries) {
        const startedAt = performance.now();
        await sql.unsafe(query);
        if (round > 0) tookMs.push(performance.now() - startedAt);
      }
    }
  });
  return queries.map(({ question, tookMs }) => ({
    name: `audit query ${question}`,
    unit: 'ms',
    value: percentile(tookMs, 50),
    ...(executions >= TARGET_EXECUTIONS ? { target: { atMost: TARGET_MS } } : {}),
  }));
}
