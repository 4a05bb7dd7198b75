/** What docs/run/backup.md says of `pg_dump` and `pg_restore`, with the programs and a server of Debian. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startTestGateway } from '../../testkit/gateway.ts';
import { execute, follow, submit } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';
import { createDebianPostgres } from '../support/debianPostgres.ts';

const TIMEOUT_MS = 180_000;
const PAGE = readFileSync(new URL('../../docs/run/backup.md', import.meta.url), 'utf8');

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

    await onServer(cluster, (sql) => sql`CREATE DATABASE restored`);
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

/** The words after the program's name in the page's command, with the test's file and database. */
function wordsOnPage(program: string, { dump, url }: { dump: string; url: string }): string[] {
  const command = new RegExp(`^${program} (.+)$`, 'm').exec(PAGE)?.[1];
  if (command === undefined) throw new Error(`docs/run/backup.md has no command ${program}.`);
  expect(command).toContain('cellhouse.dump');
  return command.replace('"$DATABASE_URL"', url).replace('cellhouse.dump', dump).split(' ');
}
