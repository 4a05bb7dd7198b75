/** Environments of two gateways, with an engine whose builds end as each test says. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { OutputItem } from '../../src/domain/output.ts';
import { AUTH_TOKEN_HOLDER as ME } from '../../src/service/principal.ts';
import { commitOne, environmentBuilt, onEnvironment } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { type BuildingGateways, useBuildingGateways } from '../support/buildingGateways.ts';
import type { TestDatabase } from '../support/database.ts';
import { servingOf } from '../support/environments.ts';
import type { ProgrammedImages, ProgrammedRuntime } from '../support/programmedRuntime.ts';
import type { ServingGateway } from '../support/serviceGateways.ts';

const LIMIT_MS = 15_000;
const eventually = (look: () => boolean | Promise<boolean>) =>
  until(String(look), async () => await look(), LIMIT_MS);
const INSTALLED = [{ name: 'alpha', version: '1.0', from: 'pip' }] as const;
const SPEC = { name: 'science', apt: ['units'], pip: ['alpha==1.0'], preload: ['alpha'] };

let db: TestDatabase;
let workers: ProgrammedRuntime;
let engine: ProgrammedImages;
let folder: string;
let gateways: BuildingGateways;
useBuildingGateways(INSTALLED, (made) => {
  ({ db, workers, engine, folder } = made);
  gateways = made;
});

const open = (settings?: Record<string, string>) => gateways.open({ settings });
const version = async ({ service }: ServingGateway, number: number | null = null) =>
  (await service.environment(ME, 'science', number))?.environment ?? null;
const reaches = (gateway: ServingGateway, number: number, state: string) =>
  eventually(async () => (await version(gateway, number))?.state === state);

async function logOf({ service }: ServingGateway, after = 0): Promise<OutputItem['output'][]> {
  const outputs: OutputItem['output'][] = [];
  for await (const { output } of await service.followBuild(ME, 'science', null, after))
    outputs.push(output);
  return outputs;
}
/** The text of a log, without the finish, which only says that the version is ready. */
const textOf = (outputs: readonly OutputItem['output'][]) =>
  outputs
    .filter(({ kind }) => kind !== 'finish')
    .map((output) => (output.kind === 'stream' ? output.text : `<${output.kind}>`))
    .join('');

/** Asks for an environment, and lets its build succeed. */
async function built(gateway: ServingGateway, over: object, imageId: string): Promise<void> {
  const count = engine.builds.length + 1;
  const { environment } = await gateway.service.createEnvironment(ME, { ...SPEC, ...over });
  (await engine.begun(count)).succeed(imageId);
  await reaches(gateway, environment.number, 'READY');
}

describe('an environment', () => {
  it('is built from what was asked for, tried in a worker, and followed at another gateway', async () => {
    const [first, second] = [await open(), await open()];
    const { environment } = await second.service.createEnvironment(ME, SPEC);
    expect(environment).toMatchObject({ state: 'BUILDING', number: 1, baseImageId: 'base' });
    const following = logOf(second);
    const build = await engine.begun(1);
    const { memoryMb, cpus, network, name } = build.build;
    expect({ memoryMb, cpus, network }).toEqual({ memoryMb: 2_048, cpus: 1, network: 'bridge' });
    expect(name).toMatch(/^cellhouse-environment:science-1-[0-9a-f]{8}$/);
    const read = (file: string) => readFileSync(join(build.build.folder, file), 'utf8');
    expect(read('requirements.txt')).toBe('alpha==1.0\n');
    expect(read('Dockerfile')).toMatch(
      /^FROM base AS debian\nLABEL environment=.*\nRUN .* install .* units .*\n[\s\S]*check_preload alpha\n/,
    );
    build.print('Step 1/9 : FROM base\n');
    build.succeed('sha256:science-1');
    const log = textOf(await following);
    expect(log).toMatch(
      /^The build begins\.\nStep 1\/9 : FROM base\nThe image is tested: a worker [\s\S]*Built in \d+ s: /,
    );
    const row = await version(first);
    expect(row).toMatchObject({
      ...{ state: 'READY', imageId: 'sha256:science-1', bytes: 2_000, packages: INSTALLED },
    });
    expect(await servingOf(db.queries, 'science')).toMatchObject({ number: 1 });
    expect(workers.imagesUsed).toEqual(['sha256:science-1']);
    // The worker of the trial and the folder of the build are gone.
    expect(readdirSync(join(folder, 'builds'))).toEqual([]);
    expect(textOf(await logOf(first, 2))).not.toContain('Step 1/9');
  });

  it('that is requested again unchanged on the same worker image is not built again, except with `rebuild`', async () => {
    const gateway = await open();
    const first = await gateway.service.createEnvironment(ME, SPEC);
    expect(await gateway.service.createEnvironment(ME, SPEC)).toEqual(first);
    (await engine.begun(1)).succeed('sha256:1');
    await reaches(gateway, 1, 'READY');
    const again = await gateway.service.createEnvironment(ME, SPEC);
    expect(again.environment).toMatchObject({ number: 1, state: 'READY' });
    const anew = await gateway.service.createEnvironment(ME, { ...SPEC, rebuild: true });
    expect(anew.environment).toMatchObject({ number: 2, state: 'BUILDING' });
    const other = await gateway.service.createEnvironment(ME, { ...SPEC, apt: [] });
    expect(other.environment.number).toBe(3);
    // Builds run one after the other.
    await engine.begun(2);
    expect(engine.builds).toHaveLength(2);
    for (const [count, id] of [
      [2, 'sha256:2'],
      [3, 'sha256:3'],
    ] as const)
      (await engine.begun(count)).succeed(id);
    await reaches(gateway, 3, 'READY');
  });

  it('whose build fails says why, and the version before goes on to serve', async () => {
    const gateway = await open();
    await built(gateway, {}, 'sha256:1');
    await gateway.service.createEnvironment(ME, { ...SPEC, pip: ['nothing'] });
    const build = await engine.begun(2);
    build.print('Looking for nothing\nERROR: no nothing\u0000 here\n');
    build.fail(6, 3);
    await reaches(gateway, 2, 'FAILED');
    const failure = 'pip could not install the packages, exit code 3: ERROR: no nothing here.';
    expect(await version(gateway)).toMatchObject({
      ...{ failure, lastLines: 'Looking for nothing\nERROR: no nothing here', imageId: null },
    });
    expect((await logOf(gateway)).at(-1)).toEqual({
      ...{ kind: 'error', name: 'EnvironmentBuildFailed', value: failure, traceback: [] },
    });
    expect(await servingOf(db.queries, 'science')).toMatchObject({ number: 1 });
    // A version that failed is built again when it is requested again.
    await gateway.service.createEnvironment(ME, { ...SPEC, pip: ['nothing'] });
    (await engine.begun(3)).fail(3);
    await reaches(gateway, 3, 'FAILED');
    expect((await version(gateway))?.failure).toMatch(/^apt could not install/);
  });

  it.each([
    [
      'a kernel that answers wrongly',
      () => '3 []',
      {},
      2_000,
      /^The image was built, but .*1\+1 is 3/,
    ],
    ['no list', () => '2 {}', {}, 2_000, /does not say what is installed/],
    [
      'more bytes than ENVIRONMENT_MAX_MB',
      undefined,
      { ENVIRONMENT_MAX_MB: '1' },
      2e6,
      /ENVIRONMENT_MAX_MB is 1\.$/,
    ],
  ])('that has %s fails its build', async (_, printed, settings, bytes, failure) => {
    if (printed) workers.printed = printed;
    const gateway = await open(settings);
    await gateway.service.createEnvironment(ME, SPEC);
    (await engine.begun(1)).succeed('sha256:1', bytes);
    await reaches(gateway, 1, 'FAILED');
    expect((await version(gateway))?.failure).toMatch(failure);
    // Its image is removed too.
    await eventually(() => engine.all.size === 0);
  });

  it('that takes too long is broken off, and fails', async () => {
    const gateway = await open({ ENVIRONMENT_BUILD_TIMEOUT_MS: '1000' });
    await gateway.service.createEnvironment(ME, SPEC);
    const { signal } = await engine.begun(1);
    await reaches(gateway, 1, 'FAILED');
    expect(signal.aborted).toBe(true);
    expect((await version(gateway))?.failure).toBe(
      'It has taken longer than ENVIRONMENT_BUILD_TIMEOUT_MS (1000 ms).',
    );
  });

  it('that is removed no longer serves, its build is broken off, and its images are removed', async () => {
    const [first, second] = [await open(), await open()];
    await built(first, {}, 'sha256:1');
    await first.service.createEnvironment(ME, { ...SPEC, apt: [] });
    const { signal } = await engine.begun(2);
    engine.all.set('sha256:layer', engine.builds[1]?.build.environmentId as never);
    const following = logOf(second);
    const removed = await second.service.removeEnvironment(ME, 'science');
    expect(['', 'The build begins.\n']).toContain(textOf(await following));
    expect(removed.environment).toMatchObject({ number: 2, removeReason: 'removed' });
    await eventually(() => signal.aborted && engine.all.size === 0);
    expect(await version(second)).toBeNull();
    expect(await servingOf(db.queries, 'science')).toBeNull();
    await expect(second.service.removeEnvironment(ME, 'science')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const { environment } = await second.service.createEnvironment(ME, SPEC);
    expect(environment.number).toBe(3);
    (await engine.begun(3)).succeed('sha256:3');
    await reaches(second, 3, 'READY');
  });

  it('whose gateway is gone in the middle of a build is built anew by another one, and its log goes on', async () => {
    const first = await open();
    await first.service.createEnvironment(ME, SPEC);
    const build = await engine.begun(1);
    build.print('first attempt\n');
    const following = logOf(await open());
    await gateways.close(first);
    const again = await engine.begun(2);
    expect(build.signal.aborted).toBe(true);
    again.print('second attempt\n');
    again.succeed('sha256:1');
    expect(textOf(await following)).toMatch(
      /^The build begins\.\nfirst attempt\nThe build begins anew[\s\S]*second attempt\n[\s\S]*Built in/,
    );
  });

  it('is built again when the worker image has changed, and the former version serves meanwhile', async () => {
    const first = await open();
    await built(first, {}, 'sha256:1');
    await gateways.close(first);
    workers.isFormer = true;
    const second = await open();
    const build = await engine.begun(2);
    const next = await version(second);
    expect(next).toMatchObject({ number: 2, reason: 'base-changed', baseImageId: 'base-former' });
    expect(next?.spec).toEqual((await version(second, 1))?.spec);
    expect(await servingOf(db.queries, 'science')).toMatchObject({ number: 1 });
    build.succeed('sha256:2');
    // Nothing uses the former version any more.
    await eventually(async () => (await version(second, 1)) === null);
    await eventually(() => engine.all.size === 1);
    expect(await servingOf(db.queries, 'science')).toMatchObject({ number: 2 });
    expect([...engine.all.keys()]).toEqual(['sha256:2']);
  });

  it('is built on a new worker image even if a newer version has failed on that image', async () => {
    const first = await open();
    await built(first, {}, 'sha256:1');
    workers.isFormer = true;
    await first.service.createEnvironment(ME, { ...SPEC, apt: [] });
    (await engine.begun(2)).fail(3);
    await reaches(first, 2, 'FAILED');
    // The upkeep requests it at once, because a build has ended.
    const build = await engine.begun(3);
    expect(await version(first)).toMatchObject({
      number: 3,
      reason: 'base-changed',
      spec: { apt: ['units'] },
    });
    build.fail(3);
    await reaches(first, 3, 'FAILED');
    // After this failure, the upkeep requests the version again only later.
    await first.service.createEnvironment(ME, { ...SPEC, name: 'tools' });
    (await engine.begun(4)).succeed('sha256:tools');
    await eventually(async () => (await servingOf(db.queries, 'tools')) !== null);
    expect(await version(first)).toMatchObject({ number: 3 });
    expect(engine.builds).toHaveLength(4);
  });

  it('whose image is missing in the engine is built again', async () => {
    const gateway = await open();
    await built(gateway, {}, 'sha256:1');
    engine.all.delete('sha256:1');
    await gateway.service.createEnvironment(ME, { ...SPEC, name: 'tools' });
    (await engine.begun(2)).succeed('sha256:tools');
    // The upkeep runs after a build.
    (await engine.begun(3)).succeed('sha256:2');
    await reaches(gateway, 2, 'READY');
    expect(await version(gateway)).toMatchObject({ number: 2, reason: 'image-lost' });
    expect(await servingOf(db.queries, 'science')).toMatchObject({ imageId: 'sha256:2' });
  });

  it('keeps the first 4 MiB and the last 64 KiB of its log, and says what is missing', async () => {
    const gateway = await open();
    await gateway.service.createEnvironment(ME, SPEC);
    const build = await engine.begun(1);
    const line = `${'x'.repeat(1_023)}\n`;
    for (let count = 0; count < 5_000; count += 1) build.print(line);
    build.print('the last line\n');
    build.succeed('sha256:1');
    const log = await logOf(gateway);
    const gap = log.findIndex(({ kind }) => kind === 'gap');
    const dropped = 5_000 * 1_024 + 14 - 4 * 1_048_576 - 65_536;
    expect(log[gap]).toEqual({ kind: 'gap', reason: 'log-limit', droppedBytes: dropped });
    expect(textOf(log.slice(0, gap))).toContain(line.repeat(4_096));
    expect(textOf([log[gap + 1] ?? { kind: 'clear', wait: false }])).toHaveLength(65_536);
    expect(textOf(log.slice(gap + 1))).toMatch(
      /x\nthe last line\nThe image is tested: .*\nBuilt in .*\n$/,
    );
  });

  it('keeps the image of a former version as long as a worker has it', async () => {
    const gateway = await open({ WORKER_IMAGE: 'sha256:1', MIN_IDLE_WORKERS: '1' });
    await built(gateway, {}, 'sha256:1');
    await eventually(async () => (await db.queries.imagesOfWorkers()).includes('sha256:1'));
    await built(gateway, { apt: [] }, 'sha256:2');
    await built(gateway, { apt: ['jq'] }, 'sha256:3');
    await eventually(async () => (await version(gateway, 2)) === null);
    await eventually(() => !engine.all.has('sha256:2'));
    expect((await version(gateway, 1))?.removedAt).toBeNull();
    expect([...engine.all.keys()]).toEqual(['sha256:1', 'sha256:3']);
  });

  it('has an index in a folder that must not change before it is built', async () => {
    const index = join(folder, 'wheels');
    const gateway = await open();
    const ask = () => gateway.service.createEnvironment(ME, { ...SPEC, index });
    await expect(ask()).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'index' },
    });
    rmSync(index, { recursive: true, force: true });
    const wheel = join(index, 'alpha-1.0-py3-none-any.whl');
    await import('node:fs/promises').then(({ mkdir }) => mkdir(index));
    writeFileSync(wheel, 'one');
    await ask();
    const build = await engine.begun(1);
    expect(readdirSync(join(build.build.folder, 'index'))).toEqual(['alpha-1.0-py3-none-any.whl']);
    expect(readFileSync(join(build.build.folder, 'Dockerfile'), 'utf8')).toContain('--no-index');
    writeFileSync(wheel, 'two');
    expect((await ask()).environment.number).toBe(2);
    writeFileSync(wheel, 'three');
    build.succeed('sha256:1');
    await reaches(gateway, 2, 'FAILED');
    expect((await version(gateway))?.failure).toMatch(/no longer as it was/);
  });
});

it('a gateway that was paused records no second end of a build', async () => {
  const gateway = await open();
  const { environment } = await gateway.service.createEnvironment(ME, SPEC);
  const build = await engine.begun(1);
  const store = (await db.open()).store;
  engine.all.set('sha256:of-another', environment.id);
  const event = environmentBuilt({ imageId: 'sha256:of-another' });
  await commitOne<'environment'>(store, onEnvironment(environment, event));
  build.succeed('sha256:late');
  await eventually(() => !engine.all.has('sha256:late'));
  expect(await version(gateway)).toMatchObject({ version: 2, imageId: 'sha256:of-another' });
});
