/** The role for auditors, tried with a real login: it reads the views of the schema audit, and nothing else. */
import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { createClient } from '../../src/events/connection/client.ts';
import { auditorStatements, makeAuditor } from '../../src/events/migrations/auditorRole.ts';
import type { SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { addHistory, seal } from '../support/auditChain.ts';
import { useDatabase } from '../support/database.ts';

const server = inject('database');
const db = await useDatabase();
const gateway = await db.open();
const address = { ...server, ...(db.address as SocketAddress) };
const makeIt = (withCode: boolean) =>
  makeAuditor({ ...address, username: 'postgres' }, { withCode, owner: server.username });

function login() {
  const client = createClient(
    { ...address, username: 'cellhouse_auditor' },
    { name: 'auditor', maxConnections: 1 },
  );
  onTestFinished(() => client.close(1_000));
  return client.sql;
}

/** Makes a query on a new connection, and closes the connection. */
async function ask(query: string) {
  const options = { name: 'auditor', maxConnections: 1 };
  const client = createClient({ ...address, username: 'cellhouse_auditor' }, options);
  return await client.sql.unsafe(query).finally(() => client.close(1_000));
}

beforeAll(async () => {
  await addHistory(gateway);
  await makeIt(false);
});

const COLUMNS = `
  SELECT c.table_name AS view, string_agg(c.column_name, ', ') AS columns FROM information_schema.columns c
  WHERE c.table_schema = 'audit' AND has_column_privilege('cellhouse_auditor', 'audit.' || c.table_name, c.column_name, 'SELECT')
  GROUP BY 1`;

describe('the role cellhouse_auditor', () => {
  it('reads every column of every view, except those with text that users wrote', async () => {
    const views = await db.sql.unsafe<{ view: string; columns: string }[]>(COLUMNS);
    const [all] = await db.sql`SELECT count(*) FROM pg_views WHERE schemaname = 'audit'`;
    expect(views).toHaveLength(all?.count);
    for (const { view, columns } of views) await ask(`SELECT ${columns} FROM audit.${view}`);
    expect(await ask('SELECT count(*) FROM audit.executions')).toEqual([{ count: 3 }]);
    for (const query of [
      'code FROM audit.executions',
      'error_value FROM audit.executions',
      'text FROM audit.inputs',
      'base64 FROM audit.inputs',
    ])
      await expect(ask(`SELECT ${query}`)).rejects.toThrow('permission denied');
  });

  it('reads code if it was last made with `withCode`', async () => {
    await makeIt(true);
    expect(await ask('SELECT DISTINCT code FROM audit.executions')).toEqual([{ code: 'print(1)' }]);
    await makeIt(false);
    await expect(ask('SELECT code FROM audit.executions')).rejects.toThrow('permission denied');
  });

  it('reads no table of the gateways, and calls none of their functions', async () => {
    const tables = await db.sql<{ name: string }[]>`
      SELECT oid::regclass::text AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'S')`;
    expect(tables.length).toBeGreaterThan(20);
    for (const { name } of tables)
      await expect(ask(`SELECT * FROM public.${name}`)).rejects.toThrow('permission denied');
    await expect(ask("SELECT public.cellhouse_seal('x', 1)")).rejects.toThrow('permission denied');
  });

  it.each([
    'CREATE TEMPORARY TABLE t (a int)',
    'CREATE TABLE public.t (a int)',
    'CREATE TABLE audit.t (a int)',
    'CREATE SCHEMA s',
    'CREATE ROLE r',
    'SET ROLE cellhouse',
    'SET ROLE postgres',
    'ALTER ROLE cellhouse_auditor SUPERUSER',
    "UPDATE audit.executions SET user_uuid = 'x'",
    'SELECT lo_create(0)',
    "SELECT lo_from_bytea(0, 'x')",
    'SELECT pg_advisory_lock(1667788661, 2)',
    'SELECT pg_try_advisory_xact_lock(1667788661, 2)',
    'SELECT pg_advisory_xact_lock_shared(1)',
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    'SELECT pg_reload_conf()',
    'SELECT * FROM pg_authid',
    'SELECT * FROM drizzle.__drizzle_migrations',
  ])('is refused: %s', async (query) => {
    const sql = login();
    await sql`SET default_transaction_read_only = off`;
    await expect(sql.unsafe(query)).rejects.toThrow(/permission denied|must be|cannot update view/);
  });

  it('cannot see what others query, nor end their work', async () => {
    const rows = await ask(`
      SELECT query FROM pg_stat_activity WHERE usename = 'cellhouse' AND datname = current_database()`);
    expect(rows.length).toBeGreaterThan(0);
    for (const { query } of rows) expect(query).toMatch(/^(<insufficient privilege>)?$/);
    const end =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cellhouse'";
    await expect(ask(end)).rejects.toThrow('permission denied');
  });

  it('has at most four connections', async () => {
    await Promise.all(Array.from({ length: 4 }, () => login()`SELECT 1`));
    await expect(login()`SELECT 1`).rejects.toThrow('too many connections');
  });

  it('takes no right away that gateways need', async () => {
    const other = await db.open();
    await addHistory(other);
    await seal(other);
    expect(await other.queries.unsealedEvents()).toBe(0);
    await db.sql`CREATE TEMPORARY TABLE t (a int)`;
  });

  it('is made by statements that may be printed', () => {
    const printed = auditorStatements({ withCode: true, owner: 'me' }).join('\n');
    expect(printed).toContain('GRANT USAGE, CREATE ON SCHEMA public TO "me"');
  });
});
