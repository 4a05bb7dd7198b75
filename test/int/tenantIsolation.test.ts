/**
 * Two tenants call everything that the schema has, at random and at the same time, at two gateways. Neither is shown
 * anything of the other. The workers are programmed.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { afterAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../chaos/random.ts';
import { schema } from '../../src/schema/index.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import type { Service } from '../../src/service/service.ts';
import { EXTENT } from '../extent.ts';
import { type Following, followSchema, operationsOfSchema } from '../support/operationsOfSchema.ts';
import { SEED } from '../support/seeded.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';
import { holdersOf, play } from '../support/tenantPlay.ts';
import { createTenantValues } from '../support/tenantValues.ts';

/** How often waiting code is let go, so that calls behind it go on. */
const LET_GO_MS = 50;
/** Longer than an item that is on its way takes to arrive. */
const QUIET_MS = 300;
const FEW = 500;
/** With 12 calls at once, one takes 2 to 6 ms. */
const PLAY_LIMIT_MS = 300_000;
/**
 * Fields that these roles may not call, that need files, which programmed workers do not have, or that need code which
 * happens to wait for input.
 */
const NEVER_ANSWERED = new Set([
  ...['poolAt', 'tokens', 'sendInput'],
  ...['createToken', 'rotateToken', 'revokeToken', 'setQuota'],
  ...['createEnvironment', 'removeEnvironment'],
  ...['file', 'files', 'writeFile', 'makeDirectory', 'moveFile', 'deleteFile'],
]);

const { db, workers, start } = await useServiceGateways({
  MAX_TOTAL_WORKERS: '60',
  MIN_IDLE_WORKERS: '4',
});
const gateways = [await start(), await start()] as const;
const services = gateways.map(({ service }) => service);
workers.hold();
const letting = setInterval(() => {
  workers.letGo();
  workers.hold();
}, LET_GO_MS);
afterAll(() => clearInterval(letting));

describe(`two tenants that call everything at random (SEED=${SEED})`, () => {
  it(
    'are shown nothing of each other, nor of users whom their token does not name',
    async () => {
      const count = EXTENT.tenantOperations;
      const fields = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
        Object.keys(type?.getFields() ?? {}),
      );
      const until = fields.filter((field) => !NEVER_ANSWERED.has(field));
      const { problems, answered } = await play(db, { seed: SEED, count, services, until });
      expect(problems.slice(0, 5)).toEqual([]);
      expect(until.filter((field) => !answered.has(field))).toEqual([]);
    },
    PLAY_LIMIT_MS,
  );

  it('are told nothing while only the other one acts', async () => {
    const following = await followAll('red', services[0]);
    expect(following.some(({ items }) => items.length > 0)).toBe(true);
    const before = following.map(({ items }) => items.length);
    await play(db, { seed: SEED, count: FEW, services, tenants: ['blue'] });
    await beginAnew('blue');
    expect(following.map(({ items }) => items.length)).toEqual(before);
    await Promise.all(following.map((each) => each.close()));
  });
});

/**
 * Follows every subscription for each user of the tenant. Resolves when all items that exist at the beginning have
 * arrived.
 */
async function followAll(tenant: 'red' | 'blue', service: Service | undefined) {
  if (service === undefined) throw new Error('There is no service.');
  const [principal] = holdersOf(tenant);
  const random = createRandom(SEED).next;
  const values = createTenantValues(random);
  values.begin(tenant, 'sessionOutput');
  const all = operationsOfSchema(schema, { random, valueOf: values.valueOf });
  const users = ['ann', 'ann-2', 'bob'].map((user) => ({ sessionOutput_userUuid: user }));
  const following: Following[] = [];
  for (const operation of all.filter(({ kind }) => kind === 'subscription')) {
    // These two subscriptions need the id of an execution or the name of an environment.
    if (['output', 'environmentBuild'].includes(operation.field)) continue;
    for (const variables of operation.field === 'sessionOutput' ? users : [{}])
      following.push(await followSchema({ service, principal, operation, variables }));
  }
  for (const each of following) void readOn(each);
  for (let before = -1; before !== toldBy(following); await pause(QUIET_MS))
    before = toldBy(following);
  return following;
}

/** How many items the subscriptions have given so far. */
function toldBy(following: readonly Following[]): number {
  return following.reduce((sum, { items }) => sum + items.length, 0);
}

/** One session ends, and another one opens. Resolves when all gateways have heard of it. */
async function beginAnew(tenant: 'red' | 'blue'): Promise<void> {
  const [principal] = holdersOf(tenant);
  await services[0]?.release(principal, 'ann');
  await services[1]?.execute(principal, { userUuid: 'ann', code: '1' });
  await pause(QUIET_MS);
}

async function readOn(following: Following): Promise<void> {
  while ((await following.next()) !== null);
}

describe('the checks of this test', () => {
  const [service] = services as [Service];

  it('find a field that shows one tenant data of the other', async () => {
    const [red] = holdersOf('red');
    const leaking: Service = {
      ...service,
      sessions: (_principal, ...rest) => service.sessions(red, ...rest),
    };
    await service.execute(red, { userUuid: 'ann', code: '1' });
    const { problems } = await play(db, {
      ...{ seed: SEED, count: FEW, services: [leaking] },
      ...{ only: 'sessions', tenants: ['blue'] },
    });
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) expect(problem).toMatch(/^query sessions by .* of red/);
  });

  it('find a stream that reports changes of others', async () => {
    const leaking: Service = {
      ...service,
      followPoolStatus: () => service.followPoolStatus(AUTH_TOKEN_HOLDER),
    };
    const following = await followAll('red', leaking);
    const before = toldBy(following);
    await beginAnew('blue');
    await expect.poll(() => toldBy(following)).toBeGreaterThan(before);
    await Promise.all(following.map((each) => each.close()));
  });

  it('fail for an argument without values', () => {
    const field = { type: GraphQLString, args: { strange: { type: GraphQLString } } };
    const other = new GraphQLSchema({
      query: new GraphQLObjectType({ name: 'Query', fields: { field } }),
    });
    const random = createRandom(SEED).next;
    const draws = { random, valueOf: createTenantValues(random).valueOf };
    expect(() => operationsOfSchema(other, draws)).toThrow('has no values for strange: String');
  });
});
