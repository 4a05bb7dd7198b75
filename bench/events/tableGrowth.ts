/** Measures what an execution leaves in PostgreSQL: rows, and bytes including indexes. */

import type { DatabaseAddress } from '../../src/events/connection/client.ts';
import type { Database } from '../../src/events/database.ts';
import type { Figure } from '../suite/bench.ts';
import { withSql } from '../support/benchDatabase.ts';
import { createWriter } from './writer.ts';

const WRITERS = 8;
const TABLES = ['events', 'executions', 'output_events', 'worker_cursors'] as const;

type Sizes = Readonly<Record<(typeof TABLES)[number], { rows: number; bytes: number }>>;

/** The growth by this many executions. The commits are real, so the dead rows that updates leave are included. */
export async function measureTableGrowth(
  address: DatabaseAddress,
  database: Database,
  executions: number,
): Promise<Figure[]> {
  const writers = await Promise.all(
    Array.from({ length: WRITERS }, (_, n) => createWriter(database, `grower-${n}`)),
  );
  const before = await sizes(address);
  const each = Math.ceil(executions / WRITERS);
  await Promise.all(
    writers.map(async (writer) => {
      for (let n = 0; n < each; n += 1) await writer.execute();
    }),
  );
  const after = await sizes(address);
  const perExecution = (table: (typeof TABLES)[number], of: 'rows' | 'bytes') =>
    (after[table][of] - before[table][of]) / (each * WRITERS);
  const sum = (of: 'rows' | 'bytes') =>
    TABLES.reduce((total, table) => total + perExecution(table, of), 0);
  return [
    { name: 'rows per execution', unit: 'rows', value: sum('rows') },
    { name: 'growth per execution, all tables', unit: 'B', value: sum('bytes') },
    ...TABLES.map((table) => ({
      name: `growth per execution, ${table}`,
      unit: 'B',
      value: perExecution(table, 'bytes'),
    })),
  ];
}

async function sizes(address: DatabaseAddress): Promise<Sizes> {
  return await withSql(address, async (sql) => {
    const entries = [];
    for (const table of TABLES) {
      const [row] = await sql<{ rows: number; bytes: number }[]>`
        SELECT (SELECT count(*) FROM ${sql(table)}) AS rows, pg_total_relation_size(${table}) AS bytes`;
      if (!row) throw new Error(`There is no ${table}.`);
      entries.push([table, row] as const);
    }
    return Object.fromEntries(entries) as Sizes;
  });
}
