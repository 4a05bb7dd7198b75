/** `node scripts/setup-runsc.mjs` makes gVisor a runtime, and changes nothing else. The test has its own engine. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { commandOf } from '../support/userPages.ts';

const run = promisify(execFile);
const ROOT = new URL('../../', import.meta.url).pathname;
const SCRIPT = `${ROOT}scripts/setup/runsc.mjs`;
const IMAGE = 'cellhouse-test-sleep';

/** Only root can start an engine, and `npm test` installs gVisor only as root. */
describe.runIf(process.getuid?.() === 0)('setting gVisor up', () => {
  let engine: OwnEngine;
  beforeAll(async () => {
    engine = await createOwnEngine({});
    await engine.start();
    await importSleep(engine);
  });
  afterAll(() => engine?.destroy());

  it('the set-up adds the runtime, keeps all other settings, and touches neither engine nor containers', async () => {
    const { places, docker } = engine;
    writeFileSync(places.config, JSON.stringify({ 'live-restore': true, labels: ['kept=yes'] }));
    const sleeper = await startSleep(engine, 'runc');
    const pid = readFileSync(places.pidFile, 'utf8');

    expect(await setUp(engine)).toContain('runsc');

    const { runtimes, ...rest } = JSON.parse(readFileSync(places.config, 'utf8'));
    expect(rest).toEqual({ 'live-restore': true, labels: ['kept=yes'] });
    expect(runtimes.runsc.runtimeArgs).toEqual(
      expect.arrayContaining(['--network=none', '--host-uds=all', '--platform=systrap']),
    );
    expect(readFileSync(places.pidFile, 'utf8')).toBe(pid);
    expect((await docker.getContainer(sleeper).inspect()).State.Running).toBe(true);
  });

  it('the set-up makes runsc a runtime that runs containers', async () => {
    const sleeper = engine.docker.getContainer(await startSleep(engine, 'runsc'));
    const { State, HostConfig } = await sleeper.inspect();
    expect(State.Running).toBe(true);
    expect(HostConfig.Runtime).toBe('runsc');
    // Later tests start the engine without this runtime, and it could then not end this container.
    await sleeper.remove({ force: true });
  });

  it('the set-up does and says nothing the second time', async () => {
    const { mtimeMs } = statSync(engine.places.config);
    expect(await setUp(engine)).toBe('');
    expect(statSync(engine.places.config).mtimeMs).toBe(mtimeMs);
  });

  it('the command of docs/run/isolation.md does nothing on this machine, which has gVisor for the tests', async () => {
    const [program = '', ...words] = commandOf('docs/run/isolation.md', 'node ').split(' ');
    expect((await run(program, words, { cwd: ROOT })).stdout).toMatch(/^Ready\. .+\n$/);
  });

  it("the set-up leaves an operator's own entry for runsc unchanged, and says what it should be", async () => {
    const own = JSON.stringify({ runtimes: { runsc: { path: '/usr/bin/runsc' } } });
    await restartWith(engine, own);
    await expect(setUp(engine)).rejects.toThrow(/already[\s\S]*--host-uds=all/);
    expect(readFileSync(engine.places.config, 'utf8')).toBe(own);
  });

  it('does not change a configuration that it cannot read', async () => {
    await restartWith(engine, '{"live-restore": true');
    await expect(setUp(engine)).rejects.toThrow(/is not JSON/);
    expect(readFileSync(engine.places.config, 'utf8')).toBe('{"live-restore": true');
  });
});

/** Resolves with the printed text. @throws Error with its message if it fails */
async function setUp({ host, places }: OwnEngine): Promise<string> {
  const code = `import { ensureRunsc } from ${JSON.stringify(SCRIPT)};
    import { runScript } from ${JSON.stringify(SCRIPT.replace('runsc.mjs', 'setupError.mjs'))};
    await runScript(() => ensureRunsc(${JSON.stringify(places)}));`;
  const env = { ...process.env, DOCKER_HOST: host };
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { env });
  return stdout;
}

/** Restarts the engine without the runtime, and then writes a configuration that it will read at its next reload. */
async function restartWith(engine: OwnEngine, config: string): Promise<void> {
  await engine.kill('SIGTERM');
  await engine.start();
  writeFileSync(engine.places.config, config);
}

async function startSleep({ docker }: OwnEngine, runtime: string): Promise<string> {
  const container = await docker.createContainer({
    Image: IMAGE,
    Cmd: ['/bin/sleep', '600'],
    HostConfig: { NetworkMode: 'none', Runtime: runtime },
  });
  await container.start();
  return container.id;
}

/** Makes an image of one program of this machine, with the libraries that it is linked to. */
async function importSleep({ docker }: OwnEngine): Promise<void> {
  const { stdout } = await run('ldd', ['/bin/sleep']);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  const tar = spawn(
    'tar',
    ['--create', '--dereference', '--absolute-names', '/bin/sleep', ...libraries],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const progress = await docker.importImage(tar.stdout, { repo: IMAGE, tag: 'latest' });
  progress.resume();
  await once(progress, 'end');
}
