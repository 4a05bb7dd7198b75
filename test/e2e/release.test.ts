/**
 * `npm run release` from a commit of this tree, and what it makes, used as the pages say: the npm package in a container
 * that has nothing but Debian and Node, and the images on an engine that has none. Both use the same engine of the
 * test, so the workers of the npm package are made of the released image.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';
import { provideImages } from '../support/standInImages.ts';
import { commandOf } from '../support/userPages.ts';

const run = promisify(execFile);
const ROOT = new URL('../../', import.meta.url).pathname;
const page = (name: string) => readFileSync(join(ROOT, 'docs/run', name), 'utf8');
/** No release of an operator has these versions, so no image of theirs is replaced or removed. */
const [FIRST, NEXT] = ['0.0.1-test', '0.0.2-test'];
const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** How to install and start FIRST, in the folder with its files. */
const [INSTALL = '', START = ''] = commandOf('docs/run/install.md', 'npm install -g ', {
  [VERSION]: FIRST,
}).split(' && ');
/** The image of the gateway is built with all npm packages, and the worker image is compressed. */
const RELEASE_LIMIT_MS = 600_000;
const LIMIT_MS = 240_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const PACKAGE = '/usr/local/lib/node_modules/cellhouse';

/** A clone of this tree, with its changes committed. */
let clone: string;
/** Has the released files of FIRST, and the npm package of NEXT, whose other files are in the clone. */
let released: string;
let engine: OwnEngine;
let socketDir: string;
let takeImagesAway: (() => Promise<void>) | undefined;

describe('npm run release', () => {
  beforeAll(async () => {
    clone = mkdtempSync(join(tmpdir(), 'ch-release-'));
    released = mkdtempSync(join(tmpdir(), 'ch-released-'));
    socketDir = mkdtempSync(join(tmpdir(), 'ch-s-'));
    copyTree();
    takeImagesAway = await provideImages();
    engine = await createOwnEngine();
    await engine.start();
  }, RELEASE_LIMIT_MS);
  afterAll(async () => {
    await engine?.destroy();
    for (const version of [FIRST, NEXT])
      await run('docker', ['image', 'rm', `cellhouse-gateway:${version}`]).catch(() => undefined);
    await takeImagesAway?.();
    for (const folder of [clone, released, socketDir])
      rmSync(folder, { recursive: true, force: true });
  }, RELEASE_LIMIT_MS);

  it('refuses a tree with changes that are in no commit', async () => {
    const stray = join(clone, 'src/stray.ts');
    writeFileSync(stray, '');
    await expect(release()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has changes that are in none[\s\S]*src\/stray\.ts/),
    });
    rmSync(stray);
  });

  it(
    'makes the package, the images and what describes them',
    async () => {
      commitVersion(FIRST);
      await release();
      await run('cp', ['--recursive', `${clone}/release/.`, released]);
      expect(readdirSync(released).sort()).toEqual(
        [
          '.env',
          'RELEASE_NOTES.md',
          'SHA256SUMS',
          'THIRD_PARTY_NOTICES.txt',
          `cellhouse-${FIRST}.cdx.json`,
          `cellhouse-${FIRST}.tgz`,
          `cellhouse-gateway-${FIRST}.cdx.json`,
          `cellhouse-gateway-${FIRST}.tar.gz`,
          `cellhouse-worker-${FIRST}.cdx.json`,
          `cellhouse-worker-${FIRST}.tar.gz`,
          'docker-compose.yml',
        ].sort(),
      );
      await run('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: released });
      expect(await faultsOfSboms()).toEqual({ cellhouse: null, gateway: null, worker: null });
      expect(namesIn('cellhouse-worker')).toContain('python3-numpy');
      expect(namesIn('cellhouse-gateway')).toEqual(
        expect.arrayContaining(['libc6', 'node', 'graphql']),
      );
      // Packages inside the program have no manifest of their own, so the SBOM leaves out no other.
      const find = ['--entrypoint=find', `cellhouse-gateway:${FIRST}`, '/', '-xdev'];
      const found = await run('docker', ['run', '--rm', ...find, '-name', 'package.json']);
      expect(found.stdout).toBe('/app/package.json\n');
    },
    RELEASE_LIMIT_MS,
  );

  it(
    'makes the same package again from the same commit, in another folder',
    async () => {
      const other = mkdtempSync(join(tmpdir(), 'ch-release-'));
      try {
        await run('git', ['clone', '--quiet', clone, other]);
        linkPackages(other);
        await release(other, '--tarball');
        const sums = (folder: string) => {
          const lines = readFileSync(join(folder, 'SHA256SUMS'), 'utf8').split('\n');
          return lines.filter((line) => line.includes(`  cellhouse-${FIRST}.`));
        };
        expect(sums(released)).toHaveLength(2);
        expect(sums(join(other, 'release'))).toEqual(sums(released));
      } finally {
        rmSync(other, { recursive: true });
      }
    },
    RELEASE_LIMIT_MS,
  );

  it(
    'makes the next version from the next commit',
    async () => {
      commitVersion(NEXT);
      await release();
      await run('cp', [join(clone, `release/cellhouse-${NEXT}.tgz`), released]);
    },
    RELEASE_LIMIT_MS,
  );

  it(
    'makes images that an engine without any loads, and that docker compose starts and upgrades under load',
    async () => {
      await loadImages(released, FIRST);
      await loadImages(join(clone, 'release'), NEXT);
      // postgres:18 is no part of the release: Compose pulls it.
      await run('sh', ['-c', 'docker save postgres:18 | docker --host "$0" load', engine.host]);
      await engineHasLoopback();
      const version = () => compose('exec', 'gateway', 'node', 'dist/cli.js', '--version');
      try {
        await compose('up', '--detach', '--wait');
        expect(await version()).toBe(FIRST);
        const token = await compose('exec', 'gateway', 'cat', '/var/lib/cellhouse/auth-token');
        const client = createClient(callsIn(engineNetwork(), token));
        await upgradeUnderLoad(client, async () => {
          for (const name of ['docker-compose.yml', '.env'])
            await run('cp', [join(clone, 'release', name), released]);
          await compose('up', '--detach', '--wait');
        });
        expect(await version()).toBe(NEXT);
        await compose('stop', 'gateway');
        await compose('run', '--rm', 'gateway', 'node', 'dist/cli.js', 'down');
      } finally {
        await compose('down', '--volumes');
      }
      expect(await engine.docker.listContainers({ all: true })).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'makes a package that a bare Debian with Node installs, starts, upgrades under load and removes',
    async () => {
      const machine = await startMachine();
      try {
        await machine.do('sh', '-c', `cd /release && ${INSTALL}`);
        expect(await machine.do('cellhouse', '--version')).toBe(FIRST);
        const installed = await machine.do('sh', '-c', HASH_PACKAGE);
        let server = await machine.start();
        expect(server.said).toMatch(/^The token is in \/var\/lib\/cellhouse\/auth-token$/m);
        const { url, token } = await machine.access();
        await upgradeUnderLoad(createClient(callsTo(url, token)), async (load) => {
          expect(await machine.do('sh', '-c', HASH_PACKAGE)).toBe(installed);
          await machine.do('sh', '-c', `cd /release && ${INSTALL.replace(FIRST, NEXT)}`);
          const before = load.done();
          await until('it serves on', async () => load.done() > before + 5);
          await server.stop();
          server = await machine.start();
        });
        expect((await (await fetch(`${url}/livez`)).json()).version).toBe(NEXT);

        expect(await machine.do('cellhouse', 'stop')).toContain('Cellhouse is down');
        await server.ended;
        expect(await engine.docker.listContainers({ all: true })).toEqual([]);
        await machine.do('npm', 'uninstall', '--global', 'cellhouse');
        expect(await machine.changes()).toEqual(['/var/lib/cellhouse']);
        const inSocketDir = readdirSync(socketDir, { recursive: true, withFileTypes: true });
        expect(inSocketDir.filter((entry) => !entry.isDirectory())).toEqual([]);
        for (const left of ['delete `/var/lib/cellhouse`', 'only empty folders', '`~/.npm`'])
          expect(page('remove.md')).toContain(left);
      } finally {
        await machine.remove();
      }
    },
    LIMIT_MS,
  );
});

/** Prints a number each half second, for longer than an upgrade takes. */
const LONG_CODE = 'import time\nfor i in range(60):\n    print(i)\n    time.sleep(0.5)';
const LONG_OUTPUT = Array.from({ length: 60 }, (_, i) => `${i}\n`).join('');
/** One hash over all files of the installed package, of which the program must write none. */
const HASH_PACKAGE = `cd ${PACKAGE} && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`;
/** Sends a request to Compose's gateway, and prints the answer. Its arguments are the token and the request. */
const CALL = `
  fetch('http://127.0.0.1:3874/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-auth-token': process.argv[1] },
    body: process.argv[2],
  }).then((r) => r.text()).then(console.log)`;

/** Files that npm keeps for itself, mounts, and the init of the container. */
const OTHERS = [
  ...['/root/.npm', '/tmp/node-compile-cache'],
  ...['/release', '/run/docker.sock', '/usr/sbin/docker-init'],
];

/** Makes `clone` a repository of one commit, which has the files of this tree as they are now. */
function copyTree(): void {
  const git = (...words: string[]) => execFileSync('git', words, { cwd: clone });
  execFileSync(
    'sh',
    [
      '-c',
      'git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar c -T - | tar x -C "$0"',
      clone,
    ],
    { cwd: ROOT },
  );
  git('init', '--quiet');
  git('config', 'user.name', 'test');
  git('config', 'user.email', 'test@example.invalid');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'This tree');
  linkPackages(clone);
}

/** Gives the folder the npm packages of this tree. Not by a symbolic link: paths would lead out of the folder. */
function linkPackages(folder: string): void {
  const packages = join(ROOT, 'node_modules');
  execFileSync('sh', [
    '-c',
    'cp --archive --link "$0" "$1" 2>/dev/null || cp --archive "$0" "$1"',
    packages,
    join(folder, 'node_modules'),
  ]);
}

/** Commits the next version, as a maintainer does: in package.json and in CHANGELOG.md. */
function commitVersion(version: string): void {
  const change = (name: string, by: (text: string) => string) =>
    writeFileSync(join(clone, name), by(readFileSync(join(clone, name), 'utf8')));
  change('package.json', (text) => text.replace(/"version": ".+?"/, `"version": "${version}"`));
  const entry = `## [${version}] - 2026-12-02\n\nOf the test.\n\n## [`;
  change('CHANGELOG.md', (text) => text.replace('## [', () => entry));
  execFileSync('git', ['commit', '--quiet', '--all', '--message', version], { cwd: clone });
}

async function release(cwd = clone, ...words: string[]): Promise<void> {
  const { WORKER_IMAGE: _, ...env } = process.env;
  const all = ['scripts/release.mjs', ...words];
  await run(process.execPath, all, { cwd, env, maxBuffer: MAX_OUTPUT_BYTES });
}

/** The libraries of CycloneDX's own validator. Only this test needs them, so they are installed beside the clone. */
const VALIDATOR = [
  '@cyclonedx/cyclonedx-library@10.3.0',
  'ajv@8.20.0',
  'ajv-formats@3.0.1',
  'ajv-formats-draft2019@1.6.1',
];
const VALIDATE = `
  const { Spec, Validation } = require('@cyclonedx/cyclonedx-library');
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
  const [text] = process.argv.slice(1).map((file) => require('node:fs').readFileSync(file, 'utf8'));
  validator.validate(text).then((faults) => console.log(JSON.stringify(faults)));`;

/** What is wrong with each SBOM, by the schema of CycloneDX 1.5. Null: nothing. */
async function faultsOfSboms(): Promise<Record<string, unknown>> {
  const folder = join(clone, 'release/validator');
  mkdirSync(folder);
  const words = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund'];
  await run('npm', [...words, '--legacy-peer-deps', ...VALIDATOR]);
  const faults: Record<string, unknown> = {};
  for (const name of ['cellhouse', 'cellhouse-gateway', 'cellhouse-worker']) {
    const file = join(released, `${name}-${FIRST}.cdx.json`);
    const { stdout } = await run(process.execPath, ['-e', VALIDATE, file], { cwd: folder });
    faults[name.replace('cellhouse-', '')] = JSON.parse(stdout);
  }
  return faults;
}

/** The names of the components of an artefact. */
function namesIn(artefact: string): string[] {
  const { components } = JSON.parse(
    readFileSync(join(released, `${artefact}-${FIRST}.cdx.json`), 'utf8'),
  );
  return components.map(({ name }: { name: string }) => name);
}

async function onEngine(...words: string[]): Promise<string> {
  const all = ['--host', engine.host, ...words];
  return (await run('docker', all, { maxBuffer: MAX_OUTPUT_BYTES })).stdout.trim();
}

/** Loads the images of a release, as docs/run/install.md says. */
async function loadImages(folder: string, version: string): Promise<void> {
  for (const name of ['gateway', 'worker'])
    await onEngine('load', '--input', join(folder, `cellhouse-${name}-${version}.tar.gz`));
}

/** The file by which `nsenter` enters the network namespace of the test's engine. */
function engineNetwork(): string {
  return `/proc/${readFileSync(engine.places.pidFile, 'utf8').trim()}/ns/net`;
}

/** Compose publishes a port on loopback, which the network namespace of the test's engine has only when it is up. */
async function engineHasLoopback(): Promise<void> {
  await run('nsenter', [`--net=${engineNetwork()}`, 'ip', 'link', 'set', 'lo', 'up']);
}

/** docker compose in the folder of the release, with its `.env`. */
async function compose(...words: string[]): Promise<string> {
  const { WORKER_IMAGE: _, ...rest } = process.env;
  const env = {
    ...rest,
    DOCKER_HOST: engine.host,
    DOCKER_SOCKET: engine.places.socket,
    SOCKET_DIR: socketDir,
    MIN_IDLE_WORKERS: '1',
  };
  const all = ['compose', '--project-name', 'cellhouse-test-release', ...words];
  const options = { cwd: released, env, maxBuffer: MAX_OUTPUT_BYTES };
  return (await run('docker', all, options)).stdout.trim();
}

/** A container with Debian and Node, and with the socket of the test's engine where an engine has its own. */
async function startMachine() {
  const registry = (await run('npm', ['config', 'get', 'registry'])).stdout.trim();
  const { stdout } = await run('docker', [
    // Privileged, as root of a machine is: the embedded PostgreSQL belongs to another user.
    ...['run', '--detach', '--init', '--privileged'],
    ...['--publish=127.0.0.1::3874', '--env=HOST=0.0.0.0', '--env=MIN_IDLE_WORKERS=1'],
    ...[`--env=NPM_CONFIG_REGISTRY=${registry}`, `--env=SOCKET_DIR=${socketDir}`],
    `--volume=${engine.places.socket}:/var/run/docker.sock`,
    `--volume=${socketDir}:${socketDir}`,
    `--volume=${released}:/release:ro`,
    'node:24-trixie-slim',
    ...['sleep', 'infinity'],
  ]);
  const id = stdout.trim();
  const inMachine = async (...words: string[]) => {
    const all = ['exec', id, ...words];
    return (await run('docker', all, { maxBuffer: MAX_OUTPUT_BYTES })).stdout.trim();
  };

  async function start() {
    const child = spawn('docker', ['exec', id, 'sh', '-c', `echo "pid $$"; exec ${START}`]);
    const ended = once(child, 'exit');
    const read = saidBy(child);
    await until(
      'cellhouse start',
      async () => {
        if (child.exitCode !== null) throw new Error(`It ended: ${read()}`);
        return read().includes('The token is in ');
      },
      LIMIT_MS / 2,
    );
    return {
      said: read(),
      ended,
      stop: async () => {
        const pid = /^pid (\d+)$/m.exec(read())?.[1];
        await inMachine('sh', '-c', `kill -TERM ${pid}`);
        await ended;
      },
    };
  }

  async function access() {
    const address = (await run('docker', ['port', id, '3874'])).stdout.trim().split('\n')[0];
    const token = await inMachine('cat', '/var/lib/cellhouse/auth-token');
    return { url: `http://${address}`, token };
  }

  return {
    do: inMachine,
    start,
    access,
    /** The topmost folders and files that were added to those of the image, except {@link OTHERS}. */
    changes: async () => {
      const { stdout: listed } = await run('docker', ['diff', id], { maxBuffer: MAX_OUTPUT_BYTES });
      const added = listed
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('A '))
        .map((line) => line.slice(2));
      const others = [...OTHERS, socketDir];
      const isTop = (path: string) => !added.some((other) => path.startsWith(`${other}/`));
      return added.filter((path) => isTop(path) && !others.some((other) => path.startsWith(other)));
    },
    remove: () => run('docker', ['rm', '--force', '--volumes', id]),
  };
}

/** What a process prints, up to now. */
function saidBy(child: ChildProcess): () => string {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  return () => said;
}

/** Sends a request of GraphQL, as JSON, and resolves with the answer. Rejects if there is none. */
type Calls = (body: string) => Promise<{ data?: { execute?: unknown } }>;

function callsTo(url: string, token: string): Calls {
  const headers = { 'content-type': 'application/json', 'x-auth-token': token };
  return async (body) => {
    const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body });
    return await response.json();
  };
}

/** Calls in a network namespace, each by a process of its own. */
function callsIn(network: string, token: string): Calls {
  return async (body) => {
    const call = [process.execPath, '-e', CALL, token, body];
    return JSON.parse((await run('nsenter', [`--net=${network}`, ...call])).stdout);
  };
}

/** A client that repeats a call, under its key, until a gateway has answered. */
function createClient(calls: Calls) {
  const query = `mutation ($user: String!, $code: String!, $key: String!) {
    execute(input: { userUuid: $user, code: $code, idempotencyKey: $key, timeoutMs: 120000 }) { status stdout stateLost }
  }`;

  async function execute(user: string, code: string): Promise<unknown> {
    const body = JSON.stringify({ query, variables: { user, code, key: randomUUID() } });
    return await until(
      `an answer to ${code}`,
      async () => (await calls(body).catch(() => null))?.data?.execute,
      LIMIT_MS / 2,
    );
  }

  return {
    execute,
    /** Counts in a variable of the user's session, until `end()`, which gives the number of calls. */
    count: (user: string) => {
      let done = 0;
      let isEnding = false;
      const counting = (async () => {
        while (!isEnding) {
          const answer = await execute(user, 'n += 1; print(n)');
          done += 1;
          const wanted = { status: 'OK', stdout: `${done}\n`, stateLost: false };
          expect(answer).toEqual(wanted);
        }
        return done;
      })();
      // A failure is thrown by `end()`.
      counting.catch(() => undefined);
      return {
        done: () => done,
        end: async () => {
          isEnding = true;
          return await counting;
        },
      };
    },
  };
}

type Client = ReturnType<typeof createClient>;
type Load = ReturnType<Client['count']>;

/** Upgrades while one user counts and another one's code prints, and expects that both notice nothing. */
async function upgradeUnderLoad(
  client: Client,
  upgrade: (load: Load) => Promise<void>,
): Promise<void> {
  expect(await client.execute('ann', 'n = 0')).toMatchObject({ status: 'OK' });
  const load = client.count('ann');
  const long = client.execute('bob', LONG_CODE);
  await until('the load runs', async () => load.done() > 20);
  await upgrade(load);
  const before = load.done();
  await until('the load goes on', async () => load.done() > before + 30);
  const counted = await load.end();
  expect(await client.execute('ann', 'print(n)')).toMatchObject({ stdout: `${counted}\n` });
  expect(await long).toMatchObject({ status: 'OK', stdout: LONG_OUTPUT, stateLost: false });
}
