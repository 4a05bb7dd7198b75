/**
 * Some features are unknown to gateways of the former release. The first use of such a feature makes these gateways
 * stop, and waits until they have stopped.
 */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../src/events/database.ts';
import { FIRST_USES } from '../../src/events/migrations/firstUse.ts';
import { migrate, readRelease } from '../../src/events/migrations/migrate.ts';
import { newId } from '../../src/process/newId.ts';
import { until } from '../../testkit/until.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';

const release = readRelease();

let db: TestDatabase;
let gateway: Database;
beforeEach(async () => {
  db = await useDatabase(onTestFinished);
  gateway = await db.open();
  await gateway.leases.announce();
  // Allows gateways that do not know tokens to work on the database.
  await db.sql`UPDATE schema_versions SET compatible_from = ${FIRST_USES.tokens - 1}`;
});

/** Writes the lease of a gateway of the former release, valid for this time. No row tells the gateway's release. */
async function formerGateway(forMs: number, id = newId(), epoch = 1): Promise<void> {
  await db.sql`
    INSERT INTO leases (name, holder, epoch, expires_at)
    VALUES (${`gateway-${id}`}, ${id}, ${epoch}, clock_timestamp() + ${forMs} * interval '1 ms')`;
}

async function timeOf(work: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work;
  return performance.now() - since;
}

const newest = async () =>
  (await db.sql`SELECT version, compatible_from FROM schema_versions ORDER BY version`).at(-1);

it('a first use raises the oldest version that may work on the database, and waits for nothing if no former gateway ever worked on it', async () => {
  expect(await newest()).toMatchObject({ compatibleFrom: FIRST_USES.tokens - 1 });
  // A gateway that is just starting would get 3 s to notice.
  expect(await timeOf(gateway.firstUse.allow('tokens'))).toBeLessThan(2_900);
  expect(await newest()).toMatchObject({ compatibleFrom: FIRST_USES.tokens });
});

it('a first use waits at all gateways until the last former gateway has stopped', async () => {
  const other = await db.open();
  await other.leases.announce();
  const former = newId();
  await formerGateway(1_500, former);
  const allowed = async ({ firstUse }: Database) => {
    await firstUse.allow('tokens');
    const [lease] = await db.sql<{ isOver: boolean }[]>`
      SELECT expires_at < clock_timestamp() AS is_over FROM leases WHERE holder = ${former}`;
    return lease?.isOver;
  };
  expect(await Promise.all([gateway, other].map(allowed))).toEqual([true, true]);
});

it('a first use is refused as retryable while a former gateway lives on', async () => {
  await formerGateway(60_000);
  await expect(gateway.firstUse.allow('tokens')).rejects.toMatchObject({
    code: 'POOL_INITIALIZING',
    details: { retryAfterMs: expect.any(Number) },
  });
});

it('a former gateway is recognised even on the data directory of a gateway of this release', async () => {
  const id = newId();
  await db.sql`
    INSERT INTO gateway_releases (gateway_id, epoch, version) VALUES (${id}, 1, ${release.version})`;
  await formerGateway(60_000, id, 2);
  await expect(gateway.firstUse.allow('tokens')).rejects.toMatchObject({
    code: 'POOL_INITIALIZING',
  });
});

it('a first use gives time to notice to a former gateway that is just starting', async () => {
  await db.sql`INSERT INTO schema_versions (version, compatible_from) VALUES (1, 1)`;
  expect(await timeOf(gateway.firstUse.allow('tokens'))).toBeGreaterThan(2_900);
});

it('a first use keeps former gateways from starting, even after the next update', async () => {
  const former = { ...release, version: FIRST_USES.tokens - 1 };
  await migrate(db.address, former);
  await gateway.firstUse.allow('tokens');
  await expect(migrate(db.address, former)).rejects.toThrow('too old for its database');
  await migrate(db.address, { ...release, version: release.version + 1 });
  await expect(migrate(db.address, former)).rejects.toThrow('too old for its database');
});

it('an allowed use is remembered, and not checked again', async () => {
  await gateway.firstUse.allow('tokens');
  await formerGateway(60_000);
  // A new check would refuse it.
  await gateway.firstUse.allow('tokens');
});

it('a first use is refused at once if the database is closed meanwhile', async () => {
  await formerGateway(60_000);
  const allowing = gateway.firstUse.allow('tokens');
  const refused = expect(allowing).rejects.toMatchObject({ code: 'POOL_INITIALIZING' });
  await until(
    'it to be raised',
    async () => (await newest())?.compatibleFrom === FIRST_USES.tokens,
  );
  await gateway.close();
  await refused;
});
