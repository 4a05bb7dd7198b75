/** Which of its own images Cellhouse's set-up removes. The test has its own engine. */
import { execFile } from 'node:child_process';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';

const SCRIPT = new URL('../../scripts/setup/pruneImages.mjs', import.meta.url).pathname;
const DAY_MS = 86_400_000;
/** An empty tar archive. */
const EMPTY_TAR = Buffer.alloc(1_024);
const NAMELESS = 'nameless';

let engine: OwnEngine;

/** Only root can start an engine. */
describe.runIf(process.getuid?.() === 0)('images that nothing uses any more', () => {
  beforeAll(async () => {
    engine = await createOwnEngine();
    await engine.start();
    for (const number of [1, 2, 3, 4, 5]) await make('worker', workerName(number));
    for (const name of ['cellhouse-test-a:1', 'cellhouse-test-used:1', null])
      await make('test', name);
    await make('worker', 'made-from-a-worker:1');
    await make(null, 'of-somebody-else:1');
    for (const Image of [workerName(2), 'cellhouse-test-used:1'])
      await engine.docker.createContainer({ Image, Cmd: ['none'] });
  });
  afterAll(() => engine.destroy());

  it('stay while they are new', async () => {
    const before = await names();
    await script(`await pruneImages()`);
    expect(await names()).toEqual(before);
    expect(before).toHaveLength(10);
  });

  it('go after a week if they come from tests, except those that containers use', async () => {
    const before = await names();
    await script(`await pruneImages(Date.now() + ${8 * DAY_MS})`);
    const left = before.filter((name) => !['cellhouse-test-a:1', NAMELESS].includes(name));
    expect(await names()).toEqual(left);
    expect(left).toHaveLength(8);
  });

  it('go after a month if they are worker images, except those that containers use and the three used last', async () => {
    await script(`await noteUse('${workerName(1)}')`);
    await script(`await pruneImages(Date.now() + ${31 * DAY_MS})`);
    expect(await names()).toEqual(
      [
        'cellhouse-test-used:1',
        ...[1, 2, 4, 5].map(workerName),
        'made-from-a-worker:1',
        'of-somebody-else:1',
      ].sort(),
    );
  });
});

function workerName(number: number): string {
  return `cellhouse-worker:${String(number).padStart(16, '0')}`;
}

/** @param name null: the image gets no name */
async function make(label: string | null, name: string | null): Promise<void> {
  const [repo, tag] = name?.split(':') ?? [];
  const changes = label === null ? undefined : `LABEL cellhouse.image=${label}`;
  const progress = await engine.docker.importImage(Readable.from(EMPTY_TAR), {
    ...(repo && { repo, tag }),
    ...(changes && { changes }),
  });
  await promisify(engine.docker.modem.followProgress)(progress);
}

async function names(): Promise<string[]> {
  const images = await engine.docker.listImages();
  return images.map(({ RepoTags }) => RepoTags?.[0] ?? NAMELESS).sort();
}

/** Runs lines in a Node process that talks to the test's engine. */
async function script(lines: string): Promise<void> {
  const code = `import { noteUse, pruneImages } from ${JSON.stringify(SCRIPT)};\n${lines}`;
  const env = { ...process.env, DOCKER_HOST: engine.host };
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], { env });
}
