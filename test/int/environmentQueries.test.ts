/** Versions of environments as rows: which version serves, and which rows remain after pruning. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Environment } from '../../src/domain/environment.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { Database } from '../../src/events/database.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { pruneHistory } from '../../src/events/retention/pruneHistory.ts';
import { ConcurrencyError } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import {
  commitOne,
  environmentBuilt,
  environmentRequested,
  onEnvironment,
  workerRequested,
} from '../../testkit/events.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';
import { servingOf } from '../support/environments.ts';
import { NONE_OF_EACH } from '../support/forgettable.ts';

const at = '2026-01-01T00:00:00.000Z';

let db: TestDatabase;
let gateway: Database;
beforeEach(async () => {
  db = await useDatabase(onTestFinished);
  gateway = await db.open();
});

const request = (over: Parameters<typeof environmentRequested>[0] = {}) =>
  commitOne<'environment'>(gateway.store, environmentRequested(over));
const record = (state: Environment, ...events: Parameters<typeof onEnvironment>[1][]) =>
  commitOne<'environment'>(gateway.store, onEnvironment(state, ...events));
const ready = async (over: Parameters<typeof environmentRequested>[0], imageId: string) =>
  await record(await request(over), environmentBuilt({ imageId }));
const remove = (state: Environment) =>
  record(state, { type: 'EnvironmentRemoved', data: { at, reason: 'removed' } });

describe('the version that serves', () => {
  it('is the newest that is READY and not removed', async () => {
    const { queries } = gateway;
    expect(await servingOf(queries, 'science')).toBeNull();
    const first = await ready({ number: 1 }, 'sha256:first');
    const serves = (environment: Environment) => ({
      ...{ id: environment.id, name: 'science', number: environment.number },
      imageId: environment.imageId,
    });
    const data = { at, failure: 'pip found no alpha.', lastLines: 'ERROR\n' };
    await record(await request({ number: 2 }), { type: 'EnvironmentBuildFailed', data });
    await request({ number: 3 });
    expect(await servingOf(queries, 'science')).toEqual(serves(first));
    const fourth = await ready({ number: 4 }, 'sha256:fourth');
    expect(await servingOf(queries, 'science')).toEqual(serves(fourth));
    await remove(fourth);
    const tools = await ready({ name: 'tools' }, 'sha256:tools');
    expect(await queries.servingEnvironments()).toEqual([
      serves(first),
      { ...serves(tools), name: 'tools' },
    ]);
    await remove(first);
    expect(await servingOf(queries, 'science')).toBeNull();
  });

  it('has a number that no other version has or had, even if two gateways request a version at the same time', async () => {
    const other = await db.open();
    const both = [gateway, other].map(({ store }) => commitOne(store, environmentRequested()));
    const ends = await Promise.allSettled(both);
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = ends.find(({ status }) => status === 'rejected');
    expect(refused).toMatchObject({ reason: new ConcurrencyError('stream') });
    const [version] = await gateway.queries.versionsOf('science');
    if (!version) throw new Error('There is no version.');
    await remove(version);
    expect(await gateway.queries.versionsOf('science')).toEqual([]);
    expect(await gateway.queries.lastNumberOf('science')).toBe(1);
    expect(await gateway.queries.lastNumberOf('tools')).toBe(0);
  });
});

it('versions are listed by name, the newest first, and found by their ids', async () => {
  const { queries } = gateway;
  const tools = await request({ name: 'tools' });
  const first = await ready({ number: 1 }, 'sha256:first');
  const second = await request({ number: 2 });
  expect(await queries.environments()).toEqual([second, first, tools]);
  expect(await queries.environmentVersion(first.id)).toEqual(first);
  expect(await queries.environmentVersions([second.id, newId(), first.id])).toEqual([
    second,
    null,
    first,
  ]);
});

it('the audit view has the request of a version, and its result', async () => {
  const { id } = await remove(await ready({ number: 1 }, 'sha256:first'));
  const [row] = await db.sql`SELECT * FROM audit.environments WHERE environment_id = ${id}`;
  expect(row).toMatchObject({
    ...{ name: 'science', number: 1, state: 'READY', reason: 'asked', removeReason: 'removed' },
    ...{ spec: { pip: ['alpha==1.0'] }, imageId: 'sha256:first', actorToken: null },
    packages: [{ name: 'alpha', version: '1.0', from: 'pip' }],
  });
});

it('a version that was removed and pruned keeps its row, and has a gap in place of its log', async () => {
  const removed = await remove(await ready({ number: 1 }, 'sha256:first'));
  const kept = await request({ name: 'tools' });
  const logs = [removed, kept].map(({ id }) => id as string as ExecutionId);
  const printed = { kind: 'stream', name: 'stdout', text: 'Step 1/2\n' } as const;
  const outputs = logs.flatMap((executionId) =>
    [printed, { kind: 'finish' } as const].map((output, index) => ({
      ...{ executionId, seq: index + 1, at: new Date(at), output },
    })),
  );
  await gateway.store.commit({ streams: [], outputs });
  await commitOne(gateway.store, workerRequested());
  const lines: string[] = [];
  const archive = async (more: readonly string[]) => void lines.push(...more);
  const pruned = await pruneHistory(db.address, { before: new Date(), archive, newId });
  expect(pruned).toMatchObject({ environments: 1, events: 3, outputs: 1 });
  expect(lines).toHaveLength(4);
  const logOf = async (executionId: ExecutionId) => {
    const bounds = { limit: 10, maxBytes: 1e6 };
    const { items } = await db.queries.outputs({ executionId, seq: 0 }, bounds);
    return items.map(({ output }) => output.kind);
  };
  expect(await Promise.all(logs.map(logOf))).toEqual([
    ['gap', 'finish'],
    ['stream', 'finish'],
  ]);
  expect(await db.queries.environmentVersion(removed.id)).toEqual(removed);
  expect((await rebuildProjections(db.address)).differing).toEqual(NONE_OF_EACH);
});

it('versions with large logs are pruned one at a time', async () => {
  for (const number of [1, 2, 3]) {
    const { id } = await remove(await ready({ number }, `sha256:${number}`));
    const output = { kind: 'stream', name: 'stdout', text: 'Step 1/2\n' } as const;
    const item = { executionId: id as string as ExecutionId, seq: 1, at: new Date(at), output };
    await gateway.store.commit({ streams: [], outputs: [item] });
  }
  await db.sql`UPDATE output_events SET bytes = ${40 * 1024 * 1024}`;
  await commitOne(gateway.store, workerRequested());
  const sizes: number[] = [];
  const archive = async (lines: readonly string[]) => void sizes.push(lines.length);
  await pruneHistory(db.address, { before: new Date(), archive, newId });
  expect(sizes).toEqual([4, 4, 4]);
});
