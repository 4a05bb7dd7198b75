import { describe, expect, it } from 'vitest';
import { logOf, openBuildLog } from '../../src/environments/buildLog.ts';
import { MAX_ATTEMPTS } from '../../src/environments/buildVersion.ts';
import type { Database } from '../../src/events/database.ts';
import type { Images } from '../../src/runtime/images.ts';
import { removeEnvironment } from '../../src/service/environments/environments.ts';
import { AUTH_TOKEN_HOLDER as ME } from '../../src/service/principal.ts';
import { commitOne, environmentRequested } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { type BuildingGateways, useBuildingGateways } from '../support/buildingGateways.ts';
import type { TestDatabase } from '../support/database.ts';
import type { ProgrammedImages, ProgrammedRuntime } from '../support/programmedRuntime.ts';
import type { ServingGateway } from '../support/serviceGateways.ts';

const MIB = 1024 * 1024;
const now = () => new Date();

let db: TestDatabase;
let workers: ProgrammedRuntime;
let engine: ProgrammedImages;
let gateways: BuildingGateways;
useBuildingGateways([], (made) => {
  ({ db, workers, engine } = made);
  gateways = made;
});

const open = (images?: Partial<Images>, change?: (database: Database) => Database) =>
  gateways.open({ images, change });
const request = async (name: string) =>
  await commitOne<'environment'>(
    (await db.open()).store,
    environmentRequested({ name, baseImageId: 'base' }),
  );
const stateOf = async (name: string) => (await db.queries.versionsOf(name))[0]?.state ?? null;
const reaches = (name: string, state: string) =>
  until(`${name} is ${state}`, async () => (await stateOf(name)) === state, 15_000);

async function built(gateway: ServingGateway, name: string): Promise<void> {
  const count = engine.builds.length + 1;
  await gateway.service.createEnvironment(ME, { name, apt: ['units'] });
  (await engine.begun(count)).succeed(`sha256:${name}`);
  await reaches(name, 'READY');
}

describe('a build that is broken off', () => {
  it('waits until others are built, and its log has the reason', async () => {
    const [first, second] = [await request('first'), await request('second')];
    const gateway = await open();
    (await engine.begun(1)).breakOff(new Error('No room for a folder'));
    const next = await engine.begun(2);
    expect(next.build.environmentId).toBe(second.id);
    next.succeed('sha256:second');
    await reaches('second', 'READY');
    const again = await engine.begun(3);
    expect(again.build.environmentId).toBe(first.id);
    again.succeed('sha256:first');
    let log = '';
    for await (const { output } of await gateway.service.followBuild(ME, 'first', null, 0))
      log += output.kind === 'stream' ? output.text : '';
    expect(log).toMatch(/^The build begins\.\nNo room for a folder\.\nThe build begins anew: /);
  });

  it('fails after MAX_ATTEMPTS attempts, whatever broke them off', async () => {
    const { id } = await request('killer');
    const database = await db.open();
    for (let count = 0; count < MAX_ATTEMPTS; count += 1) {
      const log = await openBuildLog(database, id, now);
      expect(log.formerAttempts).toBe(count);
      // A printed line that looks like a line of the gateway does not count as an attempt.
      log.add('{"name":"stderr"} "The build begins\u0000');
      await log.breakOff();
    }
    await open();
    await reaches('killer', 'FAILED');
    const [version] = await db.queries.versionsOf('killer');
    expect(version?.failure).toMatch(/^It was begun 20 times, and broken off each time/);
    expect(engine.builds).toEqual([]);
  });

  it.each([
    ['before it was sent', false],
    ['before its answer came', true],
  ])('keeps what it printed if the database went away %s', async (_, isStored) => {
    const { id } = await request('science');
    const database = await db.open();
    let isAway = true;
    const commit: Database['store']['commit'] = async (changes) => {
      if (!isAway) return await database.store.commit(changes);
      if (isStored) await database.store.commit(changes);
      isAway = false;
      throw new Error('The database is away.');
    };
    const store = { ...database.store, commit };
    const log = await openBuildLog({ ...database, store }, id, now);
    log.add('one\n');
    const last = await log.end(null);
    const start = { executionId: logOf(id), seq: 0 };
    const { items } = await db.queries.outputs(start, { limit: 100, maxBytes: MIB });
    expect(items.map(({ seq, output }) => [seq, 'text' in output && output.text])).toEqual([
      [1, 'The build begins.\n'],
      [2, 'one\n'],
    ]);
    expect(last).toMatchObject([{ seq: 3, output: { kind: 'finish' } }]);
  });

  it('has one limit for its log, which holds over all attempts', async () => {
    const { id } = await request('talker');
    const database = await db.open();
    for (let count = 0; count < 4; count += 1) {
      const log = await openBuildLog(database, id, now);
      for (let line = 0; line < 48; line += 1) log.add(`${'x'.repeat(65_535)}\n`);
      await log.breakOff();
    }
    const { bytes } = await db.queries.buildLogSize(logOf(id), '');
    expect(bytes).toBeGreaterThan(3 * MIB);
    expect(bytes).toBeLessThan(4.2 * MIB);
  });
});

it('a gateway that was paused records no failure of a build that another one may have begun', async () => {
  let isHeld = true;
  await open({}, ({ leases, ...rest }) => ({
    ...rest,
    leases: {
      ...leases,
      isHeld: (name) => (isHeld || name !== 'environments') && leases.isHeld(name),
    },
  }));
  await request('science');
  const build = await engine.begun(1);
  isHeld = false;
  build.fail(3);
  const again = await engine.begun(2);
  isHeld = true;
  again.succeed('sha256:science');
  await reaches('science', 'READY');
});

describe('upkeep', () => {
  it('marks the images of serving versions as used', async () => {
    const gateway = await open();
    await built(gateway, 'science');
    await gateways.close(gateway);
    await open();
    await until('a use', async () => engine.used.length > 0, 15_000);
    expect(engine.used).toEqual([expect.stringMatching(/^cellhouse-environment:science-1-/)]);
  });

  it('that cannot remove an image delays no build', async () => {
    engine.all.set('sha256:busy', 'of no version' as never);
    const removed: string[] = [];
    const gateway = await open({
      remove: async (imageId) => {
        removed.push(imageId);
        throw new Error('device or resource busy');
      },
    });
    await built(gateway, 'science');
    expect(removed).toContain('sha256:busy');
  });

  it('that finds no worker image delays no build', async () => {
    const gateway = await open();
    await built(gateway, 'science');
    const { imageId } = workers.runtime;
    Object.assign(workers.runtime, { imageId: () => Promise.reject(new Error('no such image')) });
    // The upkeep runs after the first build.
    for (const name of ['tools', 'others']) {
      const count = engine.builds.length + 1;
      await request(name);
      (await engine.begun(count)).succeed(`sha256:${name}`);
      await reaches(name, 'READY');
    }
    Object.assign(workers.runtime, { imageId });
  });

  it('requests no new version of an environment that an operator removes at that moment', async () => {
    let isRemoving = false;
    const gateway = await open({
      bytesOf: async (imageId) => {
        if (!isRemoving || imageId !== 'sha256:science')
          return await engine.images.bytesOf(imageId);
        await gateway.service.removeEnvironment(ME, 'science');
        isRemoving = false;
        return null;
      },
    });
    await built(gateway, 'science');
    isRemoving = true;
    // The upkeep runs after a build.
    await built(gateway, 'tools');
    await until('the upkeep', async () => !isRemoving, 15_000);
    await built(gateway, 'others');
    expect(await db.queries.lastNumberOf('science')).toBe(1);
  });
});

it('a removal also removes a version that a gateway requests meanwhile', async () => {
  const database = await db.open();
  await request('science');
  let isFirst = true;
  const versionsOf = async (name: string) => {
    const versions = await database.queries.versionsOf(name);
    const next = environmentRequested({ name, number: 2, reason: 'base-changed' });
    if (isFirst) await commitOne<'environment'>(database.store, next);
    isFirst = false;
    return versions;
  };
  const racing = { ...database, queries: { ...database.queries, versionsOf } };
  await removeEnvironment({ database: racing, now }, ME, 'science');
  expect(await database.queries.versionsOf('science')).toEqual([]);
});

it('the log of a version that is removed meanwhile is followed to its end', async () => {
  let database: Database | null = null;
  const gateway = await open({}, (own) => {
    database = own;
    return own;
  });
  await built(gateway, 'science');
  const items = await gateway.service.followBuild(ME, 'science', null, 0);
  expect((await items.next()).done).toBe(false);
  const removed = new Promise<void>((resolve) => {
    (database as Database | null)?.wakeUps.onEvent(({ event }) => {
      if (event.type === 'EnvironmentRemoved') resolve();
    });
  });
  await gateway.service.removeEnvironment(ME, 'science');
  await removed;
  let log = '';
  for await (const { output } of items) log += output.kind === 'stream' ? output.text : '';
  expect(log).toMatch(/Built in/);
});
