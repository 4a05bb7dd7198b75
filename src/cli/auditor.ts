import { pino } from 'pino';
import { loadConfig } from '../config/config.ts';
import { auditorStatements, makeAuditor } from '../events/migrations/auditorRole.ts';
import { SUPERUSER } from '../postgres/cluster.ts';
import { ensureEmbeddedPostgres } from '../postgres/embeddedPostgres.ts';
import { parseOptions } from './commandLine.ts';

/** Parses the words after `cellhouse auditor`. @throws Error that says what is wrong */
export function auditorArguments(words: readonly string[]): { readonly withCode: boolean } {
  const options = { 'with-code': { type: 'boolean', default: false } } as const;
  return { withCode: parseOptions(words, { options }).values['with-code'] };
}

/**
 * `cellhouse auditor`: makes the role `cellhouse_auditor` in the embedded PostgreSQL, or brings it up to date. With
 * DATABASE_URL, it prints the statements instead, because only a superuser may run them.
 * @param words the arguments after `auditor`
 */
export async function auditor(words: readonly string[]): Promise<void> {
  const { withCode } = auditorArguments(words);
  const { databaseUrl, dataDir, logLevel } = loadConfig(process.env);
  if (databaseUrl !== null) {
    const owner = decodeURIComponent(new URL(databaseUrl).username) || SUPERUSER;
    for (const statement of auditorStatements({ withCode, owner })) console.log(`${statement};`);
    console.log('\\password cellhouse_auditor');
    return;
  }
  const address = await ensureEmbeddedPostgres({ dataDir, logger: pino({ level: logLevel }) });
  const { username: owner } = address;
  await makeAuditor({ ...address, username: SUPERUSER }, { withCode, owner });
  const may = withCode ? 'all views' : 'all views, without code and input';
  console.log(`The role cellhouse_auditor may now read ${may} of the schema audit.`);
  console.log(
    `psql --host ${address.host} --port ${address.port} --username cellhouse_auditor ${address.database}`,
  );
}
