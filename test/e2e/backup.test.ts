/**
 * `cellhouse backup` beside a gateway with real workers, and `cellhouse restore` after its data were lost, by the
 * commands of docs/run/backup.md.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { OWN_SERVER, startTestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { commandOf } from '../support/userPages.ts';

const PAGE = 'docs/run/backup.md';
/** The words of a command of {@link PAGE} after `npx cellhouse`. */
const wordsOf = (start: string, here: Readonly<Record<string, string>>) =>
  commandOf(PAGE, start, here)
    .replace(/^.*npx cellhouse /, '')
    .split(' ');

const USERS = '{ sessions(isOpen: true) { edges { node { userUuid } } } }';

it('a restored installation has its history and its open sessions, and no session from after the backup', async () => {
  const backups = mkdtempSync(join(tmpdir(), 'ch-backup-'));
  onTestFinished(() => rmSync(backups, { recursive: true, force: true }));
  const former = await startTestGateway(OWN_SERVER);
  onTestFinished(() => former.destroy());
  const before = await execute(former, 'ann', 'x = 41; print("kept")');
  const making = wordsOf('npx cellhouse backup ', { '/var/backups/cellhouse': backups });
  const made = await runCli(making, former.env);
  expect(made).toMatchObject({ code: 0, output: expect.stringContaining('Backed up to ') });
  const metrics = await fetch(`${former.url}/metrics`, {
    headers: { 'X-Auth-Token': former.token },
  });
  const lastBackup = /^cellhouse_last_backup_timestamp_seconds (.+)$/m.exec(await metrics.text());
  expect(Date.now() / 1_000 - Number(lastBackup?.[1])).toBeLessThan(60);
  const after = await execute(former, 'bob', '1');
  await former.kill('SIGKILL');

  const [name = ''] = readdirSync(backups);
  const dataDir = join(backups, 'data');
  const settings = { ...OWN_SERVER, DATA_DIR: dataDir, SOCKET_DIR: former.env.SOCKET_DIR ?? '' };
  const env = { ...former.env, ...settings };
  const start = 'DATA_DIR=/srv/restored npx cellhouse restore ';
  const restoring = wordsOf(start, {
    '/var/backups/cellhouse/cellhouse-2026-12-01T03-00-00Z': join(backups, name),
  });
  const restored = await runCli(restoring, env);
  expect(restored).toMatchObject({ code: 0, output: expect.stringContaining('Restored') });
  const latter = await startTestGateway({ ...settings, AUTH_TOKEN: former.token });
  onTestFinished(() => latter.destroy());
  expect(await execute(latter, 'ann', 'x + 1')).toMatchObject({
    resultText: '42',
    stateLost: false,
  });
  expect((await latter.graphql<object>(USERS)).data).toEqual({
    sessions: { edges: [{ node: { userUuid: 'ann' } }] },
  });
  const known = `query ($id: ID!) { execution(id: $id) { stdout } }`;
  expect((await latter.graphql(known, { id: before.id })).data).toEqual({
    execution: { stdout: 'kept\n' },
  });
  expect((await latter.graphql(known, { id: after.id })).data).toEqual({ execution: null });
  const verified = await runCli(['audit', 'verify'], env);
  expect(verified).toMatchObject({
    code: 0,
    output: expect.stringContaining('Nothing was found.'),
  });
});

it('with a PostgreSQL of its own, both commands name what to use instead', async () => {
  const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', WORKER_IMAGE: 'x' };
  for (const words of [
    ['backup', '--to', '/tmp/none'],
    ['restore', '/tmp/none'],
  ]) {
    const { code, output } = await runCli(words, { ...env, PATH: process.env.PATH ?? '' });
    expect({ code, output }).toMatchObject({ code: 1, output: expect.stringContaining('pg_dump') });
  }
});
