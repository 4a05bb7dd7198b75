/**
 * PostgreSQL keeps copies of values: in rows that were changed or deleted, and in the statistics of each column. VACUUM
 * removes the former, ANALYZE replaces the latter.
 */
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';

const NOBODY = '00000000-0000-0000-0000-000000000000';

/**
 * Tables that may be empty. ANALYZE leaves the statistics of an empty table as they are, so each of these gets a dummy
 * row meanwhile, which no other transaction sees.
 */
const OFTEN_EMPTY: readonly {
  readonly table: string;
  readonly row: Readonly<Record<string, unknown>>;
}[] = [
  { table: 'session_variables', row: { session_id: NOBODY, name: '', value: '' } },
  { table: 'execution_variables', row: { execution_id: NOBODY, name: '', value: '' } },
  { table: 'execution_inputs', row: { execution_id: NOBODY, input_offset: 0, base64: '' } },
  {
    table: 'idempotency_keys',
    row: {
      tenant: '',
      user_uuid: '',
      key: '',
      request_hash: '',
      execution_id: NOBODY,
      created_at: '1970-01-01',
    },
  },
  { table: 'waiting_requests', row: { gateway_id: NOBODY, count: 0, tenants: {} } },
  {
    table: 'egress_counts',
    row: {
      session_id: NOBODY,
      minute: '1970-01-01',
      host: '',
      port: 0,
      outcome: '',
      connections: 0,
      sent_bytes: 0,
      received_bytes: 0,
    },
  },
  { table: 'pseudonyms', row: { tenant: '', user_uuid: '', pseudonym: '' } },
];

/** Gateways may serve meanwhile. */
export async function cleanStatistics({ sql, transaction }: OneConnection): Promise<void> {
  await sql`VACUUM (ANALYZE)`;
  for (const { table, row } of OFTEN_EMPTY)
    await transaction((inside) => analyzeWith(inside, table, row));
}

async function analyzeWith(
  sql: Sql,
  table: string,
  row: Readonly<Record<string, unknown>>,
): Promise<void> {
  await sql`
    INSERT INTO ${sql(table)}
    SELECT * FROM json_populate_record(NULL::${sql(table)}, ${JSON.stringify(row)}::text::json)`;
  await sql`ANALYZE ${sql(table)}`;
  const [key = ''] = Object.keys(row);
  await sql`DELETE FROM ${sql(table)} WHERE ${sql(key)}::text = ${String(row[key])}`;
}
