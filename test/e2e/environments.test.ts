/**
 * Environments are built, followed, used and removed, by the commands of docs/run/environments.md. Builds fail, and go on
 * after a `kill -9` of the gateway.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../chaos/random.ts';
import type { PoolId } from '../../src/domain/ids.ts';
import { trialPoolOf } from '../../src/environments/environments.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { type Index, makeWheel, serveIndex } from '../../testkit/wheels.ts';
import { EXTENT } from '../extent.ts';
import { SEED } from '../support/seeded.ts';
import { commandOf } from '../support/userPages.ts';

const ALPHA = makeWheel({
  ...{ name: 'alpha', version: '1.5', requires: ['beta>=2'] },
  files: { 'alpha.py': 'import beta\nVALUE = beta.VALUE + 1\n' },
});
const BETA = makeWheel({
  ...{ name: 'beta', version: '2.1', files: { 'beta.py': 'VALUE = 41\n' } },
});
const THREADED = makeWheel({
  ...{ name: 'threaded', version: '1.0' },
  files: {
    'threaded.py':
      'import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name="ticker", daemon=True).start()\n',
  },
});
const WHEELS = [ALPHA, BETA, THREADED];

const USE = `import subprocess, sys
is_preloaded = 'alpha' in sys.modules
import alpha
print(is_preloaded, alpha.VALUE, open('/usr/local/share/note').read().strip())
print(subprocess.run(['hello'], capture_output=True, text=True).stdout.strip())`;

const BUILD_LIMIT_MS = 110_000;
const docker = new Docker();

let gateway: TestGateway;
let index: Index;
let url: string;
let folder: string;
/** The pool's id, as the labels of its containers and images have it. */
let poolId: PoolId;
beforeAll(async () => {
  const { IPAM } = (await docker.getNetwork('bridge').inspect()) as Docker.NetworkInspectInfo;
  const host = IPAM?.Config?.[0]?.Gateway ?? '';
  index = await serveIndex(WHEELS, host);
  url = `http://${host}:${index.port}/simple/`;
  folder = mkdtempSync(join(tmpdir(), 'ch-wheels-'));
  for (const { fileName, bytes } of WHEELS) writeFileSync(join(folder, fileName), bytes);
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '1', MIN_IDLE_ENVIRONMENT_WORKERS: '1' });
});
afterAll(async () => {
  await gateway.destroy();
  await index.close();
  rmSync(folder, { recursive: true });
});

interface Version {
  readonly version: number;
  readonly state: 'BUILDING' | 'READY' | 'FAILED';
  readonly failure: string | null;
  readonly lastLines: string | null;
  readonly packages: readonly { name: string; version: string; from: string }[];
}
const FIELDS = 'version state failure lastLines packages { name version from }';

async function create(input: object): Promise<Version> {
  const query = `mutation ($input: CreateEnvironmentInput!) { createEnvironment(input: $input) { ${FIELDS} } }`;
  const { data, errors } = await gateway.graphql<{ createEnvironment: Version }>(query, { input });
  if (!data) throw new Error(JSON.stringify(errors));
  return data.createEnvironment;
}

async function environment(name: string, version: number): Promise<Version | null> {
  const query = `query ($name: String!, $version: Int) { environment(name: $name, version: $version) { ${FIELDS} } }`;
  const { data } = await gateway.graphql<{ environment: Version | null }>(query, { name, version });
  return data?.environment ?? null;
}

const built = (name: string, { version }: Version) =>
  until(
    `the build of ${name}, version ${version}`,
    async () => {
      const now = await environment(name, version);
      return now?.state === 'BUILDING' ? null : now;
    },
    BUILD_LIMIT_MS,
  );

interface Line {
  readonly seq: number;
  readonly text?: string;
  readonly reason?: string;
}

/** The log of a build, up to its end. */
async function* logOf(name: string, after = 0): AsyncGenerator<Line> {
  const query = `subscription { environmentBuild(name: "${name}", after: ${after}) { seq ... on BuildOutput { text } ... on BuildFailed { reason } } }`;
  for await (const { data, errors } of gateway
    .socket()
    .iterate<{ environmentBuild: Line }>({ query })) {
    if (!data) throw new Error(JSON.stringify(errors));
    yield data.environmentBuild;
  }
}

async function run(userUuid: string, code: string): Promise<string> {
  const query = `mutation ($input: ExecuteInput!) { execute(input: $input) { status stdout error { name value } } }`;
  const input = { userUuid, code };
  const { data, errors } = await gateway.graphql<{
    execute: { status: string; stdout: string; error: unknown };
  }>(query, { input });
  if (data?.execute.status !== 'OK') throw new Error(JSON.stringify({ data, errors }));
  return data.execute.stdout;
}

async function openSession(userUuid: string, name: string): Promise<unknown> {
  const query = `mutation ($input: OpenSessionInput!) { openSession(input: $input) { id } }`;
  const { data, errors } = await gateway.graphql<{ openSession: unknown }>(query, {
    input: { userUuid, environment: name },
  });
  if (!data) throw new Error(JSON.stringify(errors));
  return data.openSession;
}

/** All that the engine has of this installation's builds: images, containers of layers, and workers on trial. */
async function ofBuilds(): Promise<string[]> {
  const filters = { label: ['cellhouse.image=environment'] };
  const ofTrials = { label: [`cellhouse.pool=${trialPoolOf(poolId)}`] };
  const [images, containers, trials] = await Promise.all([
    docker.listImages({ filters }),
    docker.listContainers({ all: true, filters }),
    docker.listContainers({ all: true, filters: ofTrials }),
  ]);
  const pool = (labels: Readonly<Record<string, string>> | null) =>
    labels?.['cellhouse.environment-pool'] === poolId;
  return [
    ...images.filter(({ Labels }) => pool(Labels)).map(({ Id }) => Id),
    ...containers.filter(({ Labels }) => pool(Labels)).map(({ Id }) => Id),
    ...trials.map(({ Id }) => Id),
  ];
}

async function poolOfWorkers(): Promise<PoolId> {
  const { data } = await gateway.graphql<{ workers: { edges: { node: { id: string } }[] } }>(
    '{ workers(first: 1) { edges { node { id } } } }',
  );
  const id = data?.workers.edges[0]?.node.id ?? '';
  const { Config } = await docker.getContainer(`cellhouse-${id}`).inspect();
  return (Config.Labels['cellhouse.pool'] ?? '') as PoolId;
}

const cellhouse = (line: string) =>
  runCli(['environment', ...line.split(' ')], { ...gateway.env, CELLHOUSE_URL: gateway.url });

const COMMAND = 'npx cellhouse environment ';
/** The words of the page after {@link COMMAND}, with the packages and files of this test. */
const onPage = (start: string, here: Readonly<Record<string, string>> = {}) =>
  commandOf('docs/run/environments.md', COMMAND + start, here).slice(COMMAND.length);

describe('an environment', () => {
  it('is built with packages of Debian and an index while its log is followed, and a session has all of them', async () => {
    const asked = await create({
      ...{ name: 'science', apt: ['hello'], pip: ['alpha>=1'], index: url, preload: ['alpha'] },
      setup: '#!/bin/sh\nset -e\necho made by the script > /usr/local/share/note\n',
    });
    expect(asked).toMatchObject({ version: 1, state: 'BUILDING' });
    const lines: string[] = [];
    let whileBuilding = 0;
    for await (const { text } of logOf('science')) {
      lines.push(text ?? '');
      if ((await environment('science', 1))?.state === 'BUILDING') whileBuilding += 1;
    }
    expect(whileBuilding).toBeGreaterThan(0);
    const log = lines.join('');
    for (const said of [
      /Step 1\/\d+ : FROM sha256:/,
      /Setting up hello/,
      /Successfully installed alpha-1\.5 beta-2\.1/,
    ])
      expect(log).toMatch(said);
    const version = await environment('science', 1);
    expect(version).toMatchObject({ state: 'READY', failure: null });
    expect(version?.packages).toEqual([
      { name: 'hello', version: expect.stringMatching(/^2\.1/), from: 'APT' },
      { name: 'alpha', version: '1.5', from: 'PIP' },
      { name: 'beta', version: '2.1', from: 'PIP' },
    ]);
    await openSession('ann', 'science');
    expect(await run('ann', USE)).toBe('True 42 made by the script\nHello, world!\n');
    poolId = await poolOfWorkers();
    expect(await ofBuilds()).not.toEqual([]);
  });

  it('whose next version cannot be built says why, and the version before is still in force', async () => {
    const create = onPage('create science ', {
      ...{ graphviz: 'hello', 'networkx==3.4.2': 'alpha==9', pydot: 'beta', networkx: 'alpha' },
      '--watch': `--index ${url} --watch`,
    });
    const { code, output } = await cellhouse(create);
    expect(code).toBe(1);
    const failure =
      /pip could not install the packages, exit code 1: ERROR: No matching distribution found for alpha==9\./;
    expect(output).toMatch(failure);
    expect(output).toContain('from versions: 1.5');
    const failed = await environment('science', 2);
    expect(failed).toMatchObject({ state: 'FAILED', failure: expect.stringMatching(failure) });
    expect(failed?.lastLines).toContain('No matching distribution');
    expect(await cellhouse(onPage('build science --watch'))).toEqual({
      code: 1,
      output: expect.stringMatching(failure),
    });
    expect(await cellhouse(onPage('build science --rebuild'))).toEqual({
      code: 0,
      output: expect.stringContaining('science, version 3: BUILDING'),
    });
    await openSession('bob', 'science');
    expect(await run('bob', USE)).toContain('True 42');
  });

  it('whose preload leaves a thread behind fails its build with the name of the module', async () => {
    const of = { pip: ['threaded'], index: folder, preload: ['threaded'] };
    const asked = await create({ name: 'threads', ...of });
    const failure = /^A module cannot be preloaded, exit code 1: threaded left 1 thread running/;
    expect(await built('threads', asked)).toMatchObject({
      ...{ state: 'FAILED', failure: expect.stringMatching(failure) },
    });
  });

  it('that breaks Python itself fails its build, and no session ever meets it', async () => {
    const setup = 'rm /usr/lib/python3.13/threading.py /usr/lib/python3.13/__pycache__/threading.*';
    const asked = await create({ name: 'broken', setup });
    expect(await built('broken', asked)).toMatchObject({
      ...{ state: 'FAILED', failure: expect.stringMatching(/\.$/) },
    });
    await expect(openSession('eve', 'broken')).rejects.toThrow('ENVIRONMENT_NOT_READY');
  });

  it('whose gateway is killed in the middle of its build is built by the next one', async () => {
    const setup = 'echo before; sleep 4; echo after > /usr/local/share/note; echo after';
    const asked = await create({ name: 'killed', pip: ['alpha'], index: folder, setup });
    let seen = 0;
    for await (const { seq, text } of logOf('killed')) {
      seen = seq;
      if (text?.includes('before\n')) break;
    }
    await gateway.kill('SIGKILL');
    // A later test builds with BUILD_NETWORK=host.
    Object.assign(gateway.env, { BUILD_NETWORK: 'host' });
    await gateway.restart();
    const random = createRandom(SEED);
    for (let round = 1; round < EXTENT.killedBuilds; round += 1) {
      await pause(random.between(0, 8_000));
      await gateway.kill('SIGKILL');
      await gateway.restart();
    }
    let rest = '';
    for await (const { text } of logOf('killed', seen)) rest += text ?? '';
    // The log may lack `after`: the engine may have printed it while no gateway was connected.
    expect(rest).toMatch(/The build begins anew[\s\S]*Using cache[\s\S]*Built in/);
    expect(await built('killed', asked)).toMatchObject({ version: asked.version, state: 'READY' });
    await openSession('kim', 'killed');
    expect(
      await run('kim', 'import alpha; print(alpha.VALUE, open("/usr/local/share/note").read())'),
    ).toBe('42 after\n\n');
  });

  it('that is removed during its build ends the build, and the gateway goes on', async () => {
    await create({ name: 'long', setup: 'echo begun; sleep 60' });
    const seen: string[] = [];
    for await (const { text } of logOf('long')) {
      seen.push(text ?? '');
      if (text?.includes('begun\n'))
        expect(await cellhouse('remove long')).toMatchObject({ code: 0 });
    }
    expect(seen.join('')).toContain('begun');
    const running = () =>
      docker.listContainers({ filters: { label: [`cellhouse.environment-pool=${poolId}`] } });
    await until(
      'no build',
      async () => !(await running()).some(({ Command }) => Command.includes('/setup')),
      20_000,
    );
  });

  it('with an index on the loopback of the machine is built with BUILD_NETWORK=host', async () => {
    const local = await serveIndex(WHEELS);
    try {
      const loopback = `http://127.0.0.1:${local.port}/simple/`;
      const files = { 'requirements.txt': 'alpha\n', 'setup.sh': 'echo the script has run\n' };
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
      const create = onPage('create local ', {
        ...Object.fromEntries(Object.keys(files).map((name) => [name, join(folder, name)])),
        './wheels': loopback,
      });
      const { code, output } = await cellhouse(`${create} --watch`);
      expect(output).toMatch(
        /Successfully installed alpha-1\.5 beta-2\.1[\s\S]*the script has run/,
      );
      expect(code).toBe(0);
    } finally {
      await local.close();
    }
  });

  it('is listed, shown and removed by the command, and no image is left behind', async () => {
    const listed = await cellhouse(onPage('list'));
    expect(listed.output).toMatch(/^NAME +VERSION +STATE .*\n(?:.*\n)*science +1 +READY .* 3\n/m);
    const shown = await cellhouse(`${onPage('show science')} --version 1`);
    expect(shown.output).toMatch(
      /^science, version 1: READY\napt: hello\npip: alpha>=1\n[\s\S]*pip beta 2\.1\n$/,
    );
    const remove = onPage('remove science');
    for (const name of ['threads', 'broken', 'killed', 'local', 'science'])
      expect(await cellhouse(remove.replace('science', name))).toMatchObject({ code: 0 });
    expect((await cellhouse('list --json')).output).toBe('');
    // Sessions in removed environments go on.
    expect(await run('bob', 'print(alpha.VALUE)')).toBe('42\n');
    for (const user of ['ann', 'bob', 'kim'])
      await gateway.graphql(
        'mutation ($user: String!) { release(input: { userUuid: $user }) { released } }',
        { user },
      );
    await until('no image', async () => (await ofBuilds()).length === 0, BUILD_LIMIT_MS);
  });
});
