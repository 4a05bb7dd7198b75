/**
 * The role of PostgreSQL for auditors: `cellhouse_auditor` reads the views of the schema `audit`, and nothing else. The
 * statements may be run again at any time. They must be run again after an update that adds a view or a column. Only a
 * superuser may run all of them.
 */
import { type DatabaseAddress, onOneConnection } from '../connection/client.ts';
import { requireTables } from './migrate.ts';

const AUDITOR = 'cellhouse_auditor';
/** An auditor must not use up the connections of the gateways. */
const MAX_CONNECTIONS = 4;
/** A query that runs for longer belongs on a replica. */
const STATEMENT_TIMEOUT_MS = 60_000;

export interface AuditorOptions {
  /** Whether the auditor may read code, the messages of exceptions, and input that users sent. */
  readonly withCode: boolean;
  /** The role of the gateways, which owns the tables. */
  readonly owner: string;
}

/** The statements that make the role, or bring it up to date. */
export function auditorStatements({ withCode, owner }: AuditorOptions): string[] {
  return [
    `DO $$ BEGIN
  CREATE ROLE ${AUDITOR} LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END $$`,
    `ALTER ROLE ${AUDITOR} WITH NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT ${MAX_CONNECTIONS}`,
    `ALTER ROLE ${AUDITOR} SET default_transaction_read_only = on`,
    `ALTER ROLE ${AUDITOR} SET statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
    databaseStatement(owner),
    'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    `GRANT USAGE, CREATE ON SCHEMA public TO "${owner.replaceAll('"', '""')}"`,
    functionsStatement(owner),
    `GRANT USAGE ON SCHEMA audit TO ${AUDITOR}`,
    viewsStatement(withCode),
  ];
}

/**
 * Columns with content that users wrote or that their code produced. An exception's message may contain anything that
 * the code has read.
 */
const HIDDEN =
  "('executions', 'code'), ('executions', 'user_expressions'), ('executions', 'error_value'), ('inputs', 'text'), ('inputs', 'base64')";

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/**
 * Takes from other roles what PostgreSQL allows every role by default: to connect to the database, and to make
 * temporary tables in it.
 */
const databaseStatement = (owner: string) => `DO $$ BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT ALL ON DATABASE %I TO %I', current_database(), ${literal(owner)});
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO ${AUDITOR}', current_database());
END $$`;

/**
 * Takes from other roles what PostgreSQL allows every role by default: to create large objects, and to take advisory
 * locks, which could stop all commits.
 */
const functionsStatement = (owner: string) => `DO $$ DECLARE f regprocedure; BEGIN
  FOR f IN SELECT p.oid FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ '^(pg_(try_)?advisory_|lo_|lowrite$|loread$)'
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f, ${literal(owner)});
  END LOOP;
END $$`;

const viewsStatement = (withCode: boolean) => `DO $$ DECLARE v record; BEGIN
  REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM ${AUDITOR};
  FOR v IN SELECT a.attrelid::regclass AS name, string_agg(quote_ident(a.attname), ', ') AS columns
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'audit'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
      AND (${withCode} OR (c.relname, a.attname) NOT IN (${HIDDEN}))
    GROUP BY a.attrelid
  LOOP
    EXECUTE format('GRANT SELECT (%s) ON %s TO ${AUDITOR}', v.columns, v.name);
  END LOOP;
END $$`;

/**
 * Makes the role in a database, or brings it up to date there.
 * @param address the database, with a superuser as its user
 */
export async function makeAuditor(
  address: DatabaseAddress,
  options: AuditorOptions,
): Promise<void> {
  await onOneConnection(address, { name: 'auditor' }, async ({ sql, transaction }) => {
    await requireTables(sql);
    await transaction(async () => {
      for (const statement of auditorStatements(options)) await sql.unsafe(statement);
    });
  });
}
