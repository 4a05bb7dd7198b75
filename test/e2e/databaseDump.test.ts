/**
 * What docs/run/backup.md says of `pg_dump` and `pg_restore`, and docs/run/audit.md of `psql`, with the programs and a
 * server of Debian. docs/run/database.md says how role and database are made (test/support/debianPostgres.ts).
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { OWN_SERVER, startTestGateway } from '../../testkit/gateway.ts';
import { execute, follow, submit } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';
import { createDebianPostgres } from '../support/debianPostgres.ts';
import { commandOf } from '../support/userPages.ts';

const TIMEOUT_MS = 180_000;
const BACKUP = 'docs/run/backup.md';
const AUDIT = 'docs/run/audit.md';
const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;

/** Runs a command in a shell. Resolves with what it prints. */
async function shell(command: string, options: { cwd: string; env: NodeJS.ProcessEnv }) {
  return (await promisify(execFile)('sh', ['-e', '-c', command], options)).stdout;
}

it(
  'a dump made under load, restored into an empty database, has the history, and sessions not used since go on',
  async () => {
    const postgres = await createDebianPostgres();
    onTestFinished(() => postgres.destroy());
    const cluster = await postgres.place('server');
    await postgres.make(cluster);
    const wire = await createDatabaseProxy(cluster);
    onTestFinished(() => wire.close());
    const urlOf = (database: string) => wire.url.replace(/\/postgres$/, `/${database}`);
    const dump = join(postgres.root, 'cellhouse.dump');

    const former = await startTestGateway({ DATABASE_URL: urlOf('cellhouse') });
    onTestFinished(() => former.destroy());
    await execute(former, 'idle', 'kept = 7');
    const before = await execute(former, 'ann', 'x = 41; print("kept")');
    const code = 'import time\nfor n in range(600): print(n); time.sleep(0.1)';
    const printing = await submit(former, 'printing', code, { timeoutMs: 120_000 });
    await postgres.run('pg_dump', wordsOnPage('pg_dump', { dump, url: urlOf('cellhouse') }));
    const after = await execute(former, 'ann', 'x = 42');
    // The worker deletes messages that are acknowledged, and an acknowledgement comes with a later call.
    for (let call = 0; call < 5; call += 1) await execute(former, 'ann', 'x += 1');
    await former.kill('SIGKILL');

    await postgres.createDatabase(cluster, 'restored');
    const restoring = wordsOnPage('pg_restore', { dump, url: urlOf('restored') });
    await postgres.run('pg_restore', restoring);
    const latter = await startTestGateway({
      DATABASE_URL: urlOf('restored'),
      DATA_DIR: former.dataDir,
      SOCKET_DIR: former.env.SOCKET_DIR ?? '',
      AUTH_TOKEN: former.token,
    });
    onTestFinished(() => latter.destroy());
    const known = 'query ($id: ID!) { execution(id: $id) { status stdout } }';
    expect((await latter.graphql(known, { id: before.id })).data).toEqual({
      execution: { status: 'OK', stdout: 'kept\n' },
    });
    expect((await latter.graphql(known, { id: after.id })).data).toEqual({ execution: null });
    expect(await execute(latter, 'idle', 'kept')).toMatchObject({
      resultText: '7',
      stateLost: false,
    });
    // A session that was used meanwhile has gone further than its records.
    expect(await execute(latter, 'ann', 'x')).toMatchObject({
      status: 'WORKER_LOST',
      stateLost: true,
    });
    const outputs = await follow(latter.socket(), printing.id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'WORKER_LOST' } });
    expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
    expect(await runCli(['audit', 'verify'], latter.env)).toMatchObject({ code: 0 });
  },
  TIMEOUT_MS,
);

it('DATABASE_URL is read from the settings of a service', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'ch-settings-'));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, 'env'), 'PORT=1\nDATABASE_URL=postgres://a:b=c@127.0.0.1/d\n');
  const read = commandOf(BACKUP, 'DATABASE_URL=', { '/etc/cellhouse/cellhouse.env': 'env' });
  const printed = await shell(`${read}; echo "$DATABASE_URL"`, { cwd, env: process.env });
  expect(printed).toBe('postgres://a:b=c@127.0.0.1/d\n');
});

it('psql makes a role for auditors, who can read the views', async () => {
  const postgres = await createDebianPostgres();
  onTestFinished(() => postgres.destroy());
  const cluster = await postgres.place('server');
  await postgres.make(cluster);
  const wire = await createDatabaseProxy(cluster);
  onTestFinished(() => wire.close());
  const url = wire.url.replace(/\/postgres$/, '/cellhouse');
  const gateway = await startTestGateway({ DATABASE_URL: url });
  onTestFinished(() => gateway.destroy());
  await execute(gateway, 'ann', '1');
  const here = { 'npx cellhouse': `"${process.execPath}" "${CLI}"` };
  const print = commandOf(AUDIT, 'npx cellhouse auditor ', here);
  await shell(print, { cwd: postgres.root, env: { ...process.env, ...gateway.env } });
  const [, ...words] = commandOf(AUDIT, 'psql --file ').split(' ');
  await postgres.run('psql', words, { by: cluster, typed: 'secret\nsecret\n' });
  const read = ['--tuples-only', '--command', 'SELECT user_uuid FROM audit.sessions', 'cellhouse'];
  const address = ['--host', cluster.host, '--port', `${cluster.port}`];
  const asAuditor = [...address, '--username', 'cellhouse_auditor', ...read];
  expect((await postgres.run('psql', asAuditor)).trim()).toBe('ann');
});

it('psql connects to the embedded PostgreSQL of a clone', async () => {
  const { programs, destroy } = await createDebianPostgres();
  onTestFinished(destroy);
  const gateway = await startTestGateway(OWN_SERVER);
  onTestFinished(() => gateway.destroy());
  await execute(gateway, 'ann', '1');
  const cwd = mkdtempSync(join(tmpdir(), 'ch-clone-'));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  symlinkSync(gateway.dataDir, join(cwd, '.cellhouse'));
  const connect = commandOf(AUDIT, 'psql --host ');
  const query = "--tuples-only --command 'SELECT user_uuid FROM audit.sessions'";
  const env = { ...process.env, PATH: `${programs}:${process.env.PATH}` };
  expect((await shell(`${connect} ${query}`, { cwd, env })).trim()).toBe('ann');
});

/** The words after the program's name in the page's command, with the test's file and database. */
function wordsOnPage(program: string, { dump, url }: { dump: string; url: string }): string[] {
  const here = { '"$DATABASE_URL"': url, 'cellhouse.dump': dump };
  return commandOf(BACKUP, `${program} `, here).split(' ').slice(1);
}
