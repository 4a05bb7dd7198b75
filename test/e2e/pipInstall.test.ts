import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asRoot } from '../../testkit/asRoot.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import {
  containerOf,
  type ExecutionResult,
  execute,
  restartKernel,
  runCommand,
} from '../../testkit/interpreter.ts';
import { ensureImageOn } from '../../testkit/testImage.ts';
import { type Index, makeWheel, serveIndex } from '../../testkit/wheels.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { EXTENT } from '../extent.ts';
import { askFiles } from '../support/fileClient.ts';
import { forkServers } from '../support/forkServers.ts';

const HOME = '/home/user';
const SITE = `${HOME}/.local/lib/python3.13/site-packages`;
/** The uid of user code. */
const USER = '64002';
/** The index listens at this loopback address of the machine. For code, 127.0.0.1 would be its worker. */
const INDEX_HOST = '127.0.0.2';
/** Enough for several starts of Python under gVisor, on a busy machine. */
const TIMEOUT_MS = 60_000;
/** Without this project's settings, pip would try for a minute or more. */
const SOON_MS = 20_000;

/** Python that leaves a file, whose name has the uid of the user that ran it. */
const mark = (name: string) => `import os; open(f"/tmp/ran-{os.getuid()}-${name}", "w").close()\n`;
const STARTED = Object.fromEntries(
  ['evil.pth', 'sitecustomize.py', 'usercustomize.py'].map((name) => [name, mark(name)]),
);
const SHADOWS = Object.fromEntries(
  ['numpy', 'ipykernel', 'cellhouse_kernel', 'cellhouse_agent', 'json'].map((name) => [
    `${name}/__init__.py`,
    `${mark(name)}raise SystemExit`,
  ]),
);
const UPWARDS = '../'.repeat(12);
const CLIMBING = [
  `${UPWARDS}tmp/climbed`,
  '/tmp/climbed',
  `climbing2-1.0.data/data/${UPWARDS}tmp/climbed`,
  `climbing3-1.0.data/scripts/${UPWARDS}tmp/climbed`,
];

const WHEELS = [
  makeWheel({
    name: 'greet',
    version: '1.0',
    files: { 'greet.py': 'from words import HELLO\ndef greet(name): return f"{HELLO} {name}"\n' },
    requires: ['words>=2'],
  }),
  makeWheel({ name: 'words', version: '1.0', files: { 'words.py': 'HELLO = "Old"\n' } }),
  makeWheel({ name: 'words', version: '2.0', files: { 'words.py': 'HELLO = "Hello"\n' } }),
  makeWheel({
    name: 'tool',
    version: '1.0',
    files: {
      'tool.py': 'def main(): print("the tool ran")\n',
      'tool-1.0.dist-info/entry_points.txt': '[console_scripts]\nfor-test-tool = tool:main\n',
    },
  }),
  makeWheel({ name: 'evil', version: '1.0', files: { ...STARTED, ...SHADOWS } }),
  ...CLIMBING.map((path, at) =>
    makeWheel({ name: `climbing${at}`, version: '1.0', files: { [path]: '' } }),
  ),
];

describe.each(EXTENT.runtimes)('under %s', (tier) => {
  let gateway: TestGateway;
  let index: Index;
  let unlisted: Index;
  beforeAll(async () => {
    [index, unlisted] = await Promise.all([
      serveIndex(WHEELS, INDEX_HOST),
      serveIndex(WHEELS, INDEX_HOST),
    ]);
    gateway = await startTestGateway({
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '0',
      EGRESS_ALLOW: `${INDEX_HOST}:${index.port}`,
      PIP_INDEX_URL: `http://${INDEX_HOST}:${index.port}/simple`,
    });
  });
  afterAll(async () => {
    await gateway?.destroy();
    await Promise.all([index?.close(), unlisted?.close()]);
  });

  const run = (user: string, code: string): Promise<ExecutionResult> =>
    execute(gateway, user, code, { timeoutMs: TIMEOUT_MS });
  const command = (user: string, code: string): Promise<ExecutionResult> =>
    runCommand(gateway, user, code, { timeoutMs: TIMEOUT_MS });

  it('an installed package can be imported at once, and after a restart of the kernel', async () => {
    const missing = await run('ann', 'import greet');
    expect(missing.error?.name).toBe('ModuleNotFoundError');
    expect(index.asked).toEqual([]);
    const ran = await run('ann', `%pip install greet\nimport greet\nprint(greet.greet("ann"))`);
    expect(ran).toMatchObject({ status: 'OK', stderr: '' });
    expect(ran.stdout).toMatch(/Successfully installed greet-1\.0 words-2\.0\s+Hello ann\n$/);
    await restartKernel(gateway, 'ann');
    expect(await run('ann', 'import greet; print(greet.greet("bob"))')).toMatchObject({
      stdout: 'Hello bob\n',
    });
    const place =
      'import importlib.metadata as m, words; print(m.version("words"), words.__file__)';
    expect((await run('ann', place)).stdout).toBe(`2.0 ${SITE}/words.py\n`);
    expect(index.asked).toContain('/simple/greet/');
  });

  it('a command and a line with ! can install, too, and commands find installed programs', async () => {
    const installed = await command('ann', `pip install tool && for-test-tool`);
    expect(installed).toMatchObject({
      exitCode: 0,
      stdout: /the tool ran\n$/.exec(installed.stdout)?.input,
    });
    const removed = await run('ann', '!pip uninstall --yes tool\nimport tool');
    expect(removed.stdout).toContain('Successfully uninstalled tool-1.0');
    expect(removed.error?.name).toBe('ModuleNotFoundError');
    expect((await run('ann', `!pip install tool\nimport tool; tool.main()`)).stdout).toMatch(
      /Successfully installed tool-1\.0\s+the tool ran\n$/,
    );
    // pip keeps no cache, which would take room in the home for a second copy.
    expect((await command('ann', 'ls -a ~/.cache/pip')).exitCode).toBe(2);
  });

  it('an index that is not listed gets no request, and one line tells the user why', async () => {
    const url = `http://${INDEX_HOST}:${unlisted.port}/simple`;
    const ran = await run('ann', `%pip install --index-url ${url} never-installed`);
    expect(ran.stdout.match(/Note:.*/g)).toEqual([
      expect.stringContaining(`${INDEX_HOST}:${unlisted.port} is not in EGRESS_ALLOW.`),
    ]);
    expect(unlisted.asked).toEqual([]);
  });

  it('an index that the installation lists, but the session does not, gets no request, either', async () => {
    const opened = await gateway.graphql(
      `mutation { openSession(input: { userUuid: "carl", egressAllow: [] }) { userUuid } }`,
    );
    expect(opened.errors).toBeUndefined();
    const before = index.asked.length;
    const ran = await run('carl', '%pip install greet');
    expect(ran.stdout.match(/Note:.*/g)).toEqual([
      expect.stringContaining('is in EGRESS_ALLOW, but not in the egressAllow of this session.'),
    ]);
    expect(index.asked.length).toBe(before);
  });

  it('no file of a hostile package runs when kernels start, or as another user', async () => {
    const installed = await run('mallory', `!pip install evil`);
    expect(installed.stdout).toContain('Successfully installed evil-1.0');
    const worker = await containerOf(gateway, 'mallory');
    await command('mallory', 'rm -f /tmp/ran-*');
    for (const start of ['forked', 'executed', 'forked by another fork server']) {
      if (start === 'executed') await forkServers(worker, 'kill');
      await restartKernel(gateway, 'mallory');
      const looked = await run(
        'mallory',
        'import glob, numpy, json; print(glob.glob("/tmp/ran-*"))',
      );
      expect(looked, start).toMatchObject({ status: 'OK', stdout: '[]\n' });
    }
    // The user's own programs do run the package's files, as the user.
    expect(await command('mallory', 'python3 -c ""')).toMatchObject({ exitCode: 0 });
    const ran = (await asRoot(worker, ['sh', '-c', 'ls /tmp'])).match(/ran-\S+/g) ?? [];
    expect(ran.length).toBeGreaterThan(0);
    expect(ran.filter((name) => !name.startsWith(`ran-${USER}-`))).toEqual([]);
  });

  it('a package whose files lead elsewhere puts nothing there', async () => {
    for (const at of CLIMBING.keys()) {
      const ran = await command('mallory', `pip install climbing${at} 2>&1`);
      expect(ran).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('ERROR: ') });
    }
    const found = await command('mallory', 'find ~ /tmp /dev/shm -name climbed');
    expect(found).toMatchObject({ exitCode: 0, stdout: '' });
  });
});

describe('without a way out, in a worker of an image with packages in /usr/local', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    const image = await imageWithPackages();
    gateway = await startTestGateway({ WORKER_IMAGE: image, MIN_IDLE_WORKERS: '1' });
  });
  afterAll(() => gateway?.destroy());

  it('start files of such packages run in kernels and in programs of the user, and nowhere else', async () => {
    const answer = await execute(gateway, 'ann', 'import own; print(own.ANSWER)');
    expect(answer).toMatchObject({ stdout: '42\n' });
    const worker = await containerOf(gateway, 'ann');
    const ran = (await asRoot(worker, ['sh', '-c', 'ls /tmp'])).match(/ran-\S+/g) ?? [];
    expect(ran).toEqual([`ran-${USER}-own.pth`]);
  });

  it('pip soon ends, and one line tells the user that there is no index', async () => {
    const began = Date.now();
    const { stdout } = await execute(gateway, 'ann', '%pip install greet');
    expect(Date.now() - began).toBeLessThan(SOON_MS);
    expect(stdout.match(/Note:.*/g)).toEqual([
      expect.stringMatching(/reaches no package index.*EGRESS_ALLOW/),
    ]);
    expect(stdout).not.toContain('Retrying');
  });

  it('packages are installed from files in the session', async () => {
    for (const { fileName, bytes } of WHEELS) {
      const call = { method: 'PUT', path: `ann/wheels/${fileName}`, body: bytes } as const;
      expect((await askFiles(gateway, call)).status).toBe(201);
    }
    const code =
      '%pip install --no-index --find-links wheels greet\nimport greet; print(greet.greet("a"))';
    const { stdout } = await execute(gateway, 'ann', code);
    // Plain lines, without colours and bars.
    expect(stdout).toMatch(
      /^[\s\x20-\x7e]*Successfully installed greet-1\.0 words-2\.0\s+Hello a\n$/,
    );
  });
});

/** The worker image, with packages as an environment might get them from pip. @returns its name */
function imageWithPackages(): Promise<string> {
  return ensureImageOn(new Docker(), workerImage(), {
    name: 'own-packages',
    step: 'COPY own.* /usr/local/lib/python3.13/dist-packages/',
    files: { 'own.py': 'ANSWER = 42\n', 'own.pth': mark('own.pth') },
  });
}
