/**
 * The commands that README.md and docs/run print for Docker Compose, from the build of the images to the end, with a
 * project, a port and folders of this test.
 */
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SETTINGS } from '../../src/config/config.ts';
import { freePort } from '../../testkit/freePort.ts';
import { provideImages } from '../support/standInImages.ts';
import { commandOf, commandsIn, readPage } from '../support/userPages.ts';

/** Two images are built with packages from npm and Debian. */
const UP_TIMEOUT_MS = 600_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const ROOT = new URL('../../', import.meta.url).pathname;
const socketDir = mkdtempSync(join(tmpdir(), 'ch-'));
/** Has the file that is used instead of `.env` beside docker-compose.yml. */
const settingsDir = mkdtempSync(join(tmpdir(), 'cellhouse-compose-'));
const dotEnv = join(settingsDir, '.env');
const tokenFile = join(settingsDir, '.cellhouse/auth-token');
const project = `cellhouse-test-${process.pid}`;
/** The version of Linux that gVisor reports, whatever version the host has. */
const GVISOR_VERSION = '4.4.0\n';
let env: NodeJS.ProcessEnv;
let url: string;
let token: string;
let takeImagesAway: (() => Promise<void>) | undefined;

const FILES = ['docker-compose.yml', 'test/support/compose.yml'];
const OPTIONS = [
  ...['--project-name', project, '--env-file', dotEnv],
  ...FILES.flatMap((file) => ['--file', join(ROOT, file)]),
];

const INSTALL = 'docs/run/install.md';
const UP = commandOf('README.md', 'docker compose up');
const STOP = commandOf(INSTALL, 'docker compose stop gateway');
const END_WORKERS = commandOf(INSTALL, 'docker compose run ');
const DOWN = commandOf(INSTALL, 'docker compose down');

/** Runs commands of a page in a shell, in the folder of the settings. Resolves with what they print. */
async function onPage(...commands: string[]): Promise<string> {
  const ofThisTest = commands
    .join('\n')
    .replaceAll('docker compose', `docker compose ${OPTIONS.join(' ')}`);
  const options = { env, cwd: settingsDir, maxBuffer: MAX_OUTPUT_BYTES };
  const { stdout } = await promisify(execFile)('sh', ['-e', '-c', ofThisTest], options);
  return stdout.trim();
}

async function compose(...args: string[]): Promise<string> {
  const all = ['compose', ...OPTIONS, ...args];
  const { stdout } = await promisify(execFile)('docker', all, { env, maxBuffer: MAX_OUTPUT_BYTES });
  return stdout.trim();
}

beforeAll(async () => {
  const port = await freePort();
  const names = new Set(Object.values(SETTINGS).map(({ name }) => name));
  // DOCKER_HOST stays in the environment, since docker compose itself reads it.
  names.delete('DOCKER_HOST');
  env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !names.has(name)));
  writeFileSync(dotEnv, `PORT=${port}\nSOCKET_DIR=${socketDir}\nMIN_IDLE_WORKERS=1\n`);
  url = `http://127.0.0.1:${port}`;
  takeImagesAway = await provideImages();
  await onPage(`${UP} --build --detach --wait`);
  await onPage(commandOf('README.md', '(umask 077; '));
  token = readFileSync(tokenFile, 'utf8').trim();
}, UP_TIMEOUT_MS);

afterAll(async () => {
  try {
    await onPage(`${DOWN} --volumes --rmi local`);
  } finally {
    for (const folder of [socketDir, settingsDir]) rmSync(folder, { recursive: true, force: true });
    await takeImagesAway?.();
  }
}, UP_TIMEOUT_MS);

async function execute(code: string): Promise<unknown> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-auth-token': token },
    body: JSON.stringify({
      query: `mutation ($code: String!) {
        execute(input: { userUuid: "compose", code: $code }) { status stdout stateLost }
      }`,
      variables: { code },
    }),
  });
  return (await response.json()).data?.execute;
}

it('docker compose up: the gateway runs code in workers, and keeps them over its restart', async () => {
  expect(await execute('a = 10')).toMatchObject({ status: 'OK' });
  await compose('restart', 'gateway');
  await compose('up', '--detach', '--wait');
  expect(await execute('print(a * 20)')).toEqual({
    status: 'OK',
    stdout: '200\n',
    stateLost: false,
  });
});

it('docker compose up: both pages print the same, and the token for its owner alone', async () => {
  expect(commandOf(INSTALL, 'docker compose up')).toBe(UP);
  expect(await onPage(commandOf(INSTALL, 'docker compose exec '))).toBe(token);
  expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
});

it('docker compose up: the database keeps its data where postgres:18 does, in a volume', async () => {
  const version = '/var/lib/postgresql/18/docker/PG_VERSION';
  expect(Number(await compose('exec', 'postgres', 'cat', version))).toBeGreaterThan(0);
});

it('docker compose up: the documented commands dump the database and restore it', async () => {
  const commands = commandsIn(readPage('docs/run/backup.md'));
  const [dump = '', ...restore] = commands.filter((command) => /^docker compose /.test(command));
  expect(dump).toContain('> cellhouse.dump');
  expect(restore.length).toBeGreaterThan(2);
  expect(await execute('kept = 7')).toMatchObject({ status: 'OK' });
  await onPage(dump);
  const sql = async (text: string) => {
    const words = ['psql', '--username', 'cellhouse', '--tuples-only', '--command', text];
    return await compose('exec', '-T', 'postgres', ...words);
  };
  await sql('CREATE TABLE made_since ()');
  await onPage(...restore);
  expect(await sql("SELECT to_regclass('made_since')")).toBe('');
  await compose('up', '--detach', '--wait');
  expect(await execute('print(kept)')).toEqual({ status: 'OK', stdout: '7\n', stateLost: false });
});

/** The names of the containers of this test's workers. */
async function workers(): Promise<string[]> {
  const format = '{{.Name}} {{range .Mounts}}{{.Source}} {{end}}';
  const args = ['ps', '--quiet', '--filter', 'label=cellhouse.pool'];
  const ids = (await promisify(execFile)('docker', args)).stdout.split('\n').filter(Boolean);
  if (ids.length === 0) return [];
  const inspect = ['inspect', '--format', format, ...ids];
  const { stdout } = await promisify(execFile)('docker', inspect);
  const here = stdout.split('\n').filter((line) => line.includes(` ${socketDir}/`));
  return here.map((line) => line.split(' ')[0] ?? '');
}

it('docker compose up: the documented command ends every worker', async () => {
  expect((await workers()).length).toBeGreaterThan(0);
  await onPage(STOP);
  expect((await workers()).length).toBeGreaterThan(0);
  await onPage(END_WORKERS);
  expect(await workers()).toEqual([]);
});

it(
  'docker compose up: with DOCKER_RUNTIME=runsc in .env, code runs on the kernel of gVisor',
  async () => {
    const printVersion = "print(open('/proc/version').read().split()[2])";
    await compose('up', '--detach', '--wait');
    expect(await execute(printVersion)).toMatchObject({ status: 'OK', stdout: `${release()}\n` });
    await onPage(STOP, END_WORKERS);

    appendFileSync(dotEnv, 'DOCKER_RUNTIME=runsc\nWORKER_MEMORY_MB=640\n');
    await compose('up', '--detach', '--wait');
    expect(await compose('exec', 'gateway', 'printenv', 'WORKER_MEMORY_MB')).toBe('640');
    expect(await execute(printVersion)).toMatchObject({ status: 'OK', stdout: GVISOR_VERSION });
    const here = await workers();
    const listed = await onPage(commandOf('docs/run/isolation.md', 'docker ps '));
    expect(here.filter((name) => listed.includes(`${name} runsc`))).not.toEqual([]);
    expect(here.filter((name) => listed.includes(`${name} runc`))).toEqual([]);
    await onPage(STOP, END_WORKERS);
  },
  UP_TIMEOUT_MS,
);
