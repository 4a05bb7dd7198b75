/** Tests the engine that outage tests start: the images that it gets, and its removal. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';
import { workerImage } from '../../testkit/workerImage.ts';

const run = promisify(execFile);
const IMAGE = workerImage();
const SMALL = 'cellhouse-test-small:1';
/** Prints kind, owner, mode, size, time and target of files in folders that the image's layers change. */
const LOOK = `find /usr/bin /usr/lib/python3/dist-packages/cellhouse* /usr/share/cellhouse /var \
  -printf '%p %y %u %g %m %s %T@ %l\\n' | sort`;
const MAX_LOOK_BYTES = 10_000_000;
const closers: (() => Promise<unknown>)[] = [];

/** Only root can start another engine. */
describe.runIf(process.getuid?.() === 0)('an engine for a test', () => {
  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const close of closers.splice(0).reverse()) await close();
  });

  it("gets an image of the machine's engine, with the same id and files; its removal here does not remove it there", async () => {
    const machine = new Docker();
    const { Id } = await machine.getImage(IMAGE).inspect();
    const seen = await look([]);
    const engine = await create();
    await engine.load(IMAGE);
    await engine.start();
    expect(await imagesOf(engine)).toEqual([[Id, [IMAGE]]]);
    expect(await look(['--host', engine.host])).toBe(seen);
    await engine.docker.getImage(IMAGE).remove();
    expect(await imagesOf(engine)).toEqual([]);
    expect(await look([])).toBe(seen);
  });

  it("gets an image even if this engine's folder is on another file system, or if the machine's engine can be reached only through its API", async () => {
    const machine = await create();
    await machine.start();
    await importSmall(machine);
    vi.stubEnv('DOCKER_HOST', machine.host);
    const expected = await imagesOf(machine);

    vi.stubEnv('TMPDIR', await memoryFolder());
    const elsewhere = await create();
    await elsewhere.load(SMALL);
    await elsewhere.start();
    expect(await imagesOf(elsewhere)).toEqual(expected);
    await elsewhere.docker.createContainer({ Image: SMALL, Cmd: ['none'] });

    rmSync(join(dirname(machine.places.socket), 'data/engine-id'));
    const sent = await create();
    await sent.load(SMALL);
    await sent.start();
    expect(await imagesOf(sent)).toEqual(expected);
  });

  it('is removed with its folder, even while it is about to end', async () => {
    const { docker, places, start, destroy } = await createOwnEngine();
    await start();
    process.kill(Number(readFileSync(places.pidFile, 'utf8')), 'SIGTERM');
    // In its last second the engine does not answer any more; at its end it removes its socket and pid file. On a busy
    // machine it may have ended by now: `destroy` must work either way.
    await until('it answers no more', async () => !(await docker.ping().catch(() => null)));
    await destroy();
    expect(existsSync(dirname(places.pidFile))).toBe(false);
  });
});

async function create(): Promise<OwnEngine> {
  const engine = await createOwnEngine();
  closers.push(() => engine.destroy());
  return engine;
}

/** @param options of the `docker` command, which choose the engine */
async function look(options: string[]): Promise<string> {
  const words = ['run', '--rm', '--network=none', '--entrypoint=sh', IMAGE, '-c', LOOK];
  const { stdout } = await run('docker', [...options, ...words], { maxBuffer: MAX_LOOK_BYTES });
  expect(stdout).toMatch(/^\/usr\/bin\/python3 /m);
  return stdout;
}

async function imagesOf({ docker }: OwnEngine): Promise<[string, string[] | undefined][]> {
  return (await docker.listImages()).map(({ Id, RepoTags }) => [Id, RepoTags]);
}

async function importSmall({ docker }: OwnEngine): Promise<void> {
  const tar = execFile('tar', ['--create', '/etc/hostname'], { encoding: 'buffer' });
  const [repo, tag] = SMALL.split(':');
  const progress = await docker.importImage(tar.stdout ?? '', { repo, tag });
  await promisify(docker.modem.followProgress)(progress);
}

/** A folder on a file system of its own. */
async function memoryFolder(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ch-memory-'));
  await run('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
  closers.push(async () => {
    await run('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}
