/** What each query of docs/audit.md takes, as it is printed there. */
import { readFileSync } from 'node:fs';
import type { DatabaseAddress } from '../../src/events/connection/databaseAddress.ts';
import type { Figure } from '../suite/bench.ts';
import { withSql } from '../support/benchDatabase.ts';
import { percentile } from '../support/percentile.ts';

const TARGET_MS = 1_000;
/** A section of the page: its number and question, and then its query. */
const SECTION = /^## (\d+\. .+)$[\s\S]*?```sql\n([\s\S]*?)```/gm;

/** From so many on, the queries have to keep to it. */
const TARGET_EXECUTIONS = 1_000_000;

/** In turns, the first of each left out. @param executions how many there are */
export async function measureAuditQueries(
  address: DatabaseAddress,
  rounds: number,
  executions: number,
): Promise<Figure[]> {
  // From the project's root: what is compiled lies elsewhere.
  const page = readFileSync('docs/audit.md', 'utf8');
  const queries = [...page.matchAll(SECTION)].map(([, question = '', query = '']) => ({
    question,
    query,
    tookMs: [] as number[],
  }));
  if (queries.length === 0) throw new Error('docs/audit.md has no queries.');
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
