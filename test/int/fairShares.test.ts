/** Workers are shared between tenants, over two gateways on one database. The workers are programmed. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { newId } from '../../src/process/newId.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { type ServingGateway, useServiceGateways } from '../support/serviceGateways.ts';

const MAX_WORKERS = 6;
const SETTINGS = {
  MIN_IDLE_WORKERS: '0',
  MAX_TOTAL_WORKERS: String(MAX_WORKERS),
  TENANT_WEIGHTS: 'double=2',
  // All calls of a burst wait until the test ends.
  WORKER_WAIT_TIMEOUT_MS: '600000',
};
/**
 * How long a client keeps its session. Even on a busy machine, this is far longer than opening the next session takes,
 * so that opening hardly changes the measured shares.
 */
const HOLD_MS = 1_000;
/** How long the shares of the competing clients are measured. */
const MEASURED_MS = 6_000;
/** How long clients compete before the measurement. First, one tenant gets all workers, and keeps them for HOLD_MS. */
const SETTLING_MS = 2_500;
/**
 * Far less than the minute for which the stopped gateway's lease is valid, and more than the time for which a gateway
 * leaves a worker to users of others.
 */
const SOON_MS = 10_000;

const { db, start } = await useServiceGateways(SETTINGS);
const gateways = [await start(), await start()] as const;
afterEach(async () => {
  await db.sql`DELETE FROM waiting_requests`;
  const open = await db.queries.openSessions();
  await Promise.all(open.map(({ tenant, userUuid }) => release(gateways[0], tenant, userUuid)));
});

const holderOf = (tenant: string): Principal => ({ ...AUTH_TOKEN_HOLDER, role: 'TENANT', tenant });
const execute = (gateway: ServingGateway, tenant: string, userUuid: string) =>
  gateway.service.execute(holderOf(tenant), { userUuid, code: '1' });
const release = (gateway: ServingGateway, tenant: string, userUuid: string) =>
  gateway.service.release(holderOf(tenant), userUuid);

/** Clients of a tenant at both gateways. Each opens a session, keeps it for a while, releases it, and begins again. */
function compete(tenant: string, count: number) {
  let isOver = false;
  const client = async (index: number) => {
    const gateway = gateways[index % 2] ?? gateways[0];
    while (!isOver) {
      await execute(gateway, tenant, `user-${index}`);
      if (!isOver) await pause(HOLD_MS);
      await release(gateway, tenant, `user-${index}`);
    }
  };
  const clients = Promise.all(Array.from({ length: count }, (_, index) => client(index)));
  return async () => {
    isOver = true;
    await clients;
  };
}

/** Seconds for which sessions of each tenant were open between two times, by the database's clock. */
async function workerSeconds(from: Date, to: Date): Promise<Record<string, number>> {
  const rows = await db.sql<{ tenant: string; seconds: number }[]>`
    SELECT tenant, sum(extract(epoch FROM least(coalesce(closed_at, ${to}), ${to})
      - greatest(opened_at, ${from})))::float AS seconds
    FROM sessions WHERE opened_at < ${to} AND coalesce(closed_at, ${to}) > ${from} GROUP BY tenant`;
  return Object.fromEntries(rows.map(({ tenant, seconds }) => [tenant, seconds]));
}

/** Starts a call for each of `count` users of a tenant, at both gateways. Resolves when these have all workers. */
async function burst(tenant: string, count: number) {
  const users = Array.from({ length: count }, (_, index) => `burst-${index}`);
  const calls = users.map((userUuid, index) =>
    execute(gateways[index % 2] ?? gateways[0], tenant, userUuid),
  );
  await until(
    'all workers are taken',
    async () => (await openUsers(tenant)).length === MAX_WORKERS,
  );
  return {
    /** Ends the sessions of all these users. If a user still waits for a session, it ends as soon as it is open. */
    end: () =>
      Promise.all(
        calls.map(async (call, index) => {
          await call;
          await release(gateways[0], tenant, users[index] ?? '');
        }),
      ),
  };
}

async function openUsers(tenant: string): Promise<string[]> {
  const open = await db.queries.openSessions();
  return open.filter((session) => session.tenant === tenant).map(({ userUuid }) => userUuid);
}

describe('two tenants, one of which has 20 times as many clients as the other', () => {
  it.each([
    ['equal', 'few', 1 / 2],
    ['2 to 1', 'double', 2 / 3],
  ])('share the workers as their weights are: %s', async (_, small, share) => {
    const ends = [compete('many', 120), compete(small, 6)];
    await pause(SETTLING_MS);
    const from = new Date();
    await pause(MEASURED_MS);
    const to = new Date();
    const seconds = await workerSeconds(from, to);
    await Promise.all(ends.map((end) => end()));
    const own = seconds[small] ?? 0;
    const ratio = own / (own + (seconds.many ?? 0)) / share;
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });
});

describe('a burst of new users', () => {
  it('of one tenant does not delay a user of another, who gets the next worker', async () => {
    const { end } = await burst('many', 60);
    const call = execute(gateways[1], 'few', 'one');
    await until('the waiting call is published', async () => {
      const rows = await db.sql`SELECT FROM waiting_requests WHERE tenants ? 'few'`;
      return rows.length > 0;
    });
    const [first = ''] = await openUsers('many');
    const releasedAt = new Date();
    await release(gateways[0], 'many', first);
    await call;
    const [next] = await db.sql<{ tenant: string }[]>`
      SELECT tenant FROM sessions WHERE opened_at > ${releasedAt} ORDER BY opened_at LIMIT 1`;
    expect(next?.tenant).toBe('few');
    await end();
  });

  it('of a tenant that is alone gets every worker', async () => {
    const { end } = await burst('many', 20);
    for (let round = 0; round < 10; round += 1) {
      const before = await openUsers('many');
      await release(gateways[round % 2] ?? gateways[0], 'many', before[0] ?? '');
      const isTaken = async () => {
        const users = await openUsers('many');
        return users.length === MAX_WORKERS && !users.includes(before[0] ?? '');
      };
      await until('all workers are taken again', isTaken);
    }
    await end();
  });

  it('of a gateway that has stopped acting does not block calls at the others', async () => {
    const { end } = await burst('many', 12);
    const stopped = newId();
    const places = Array.from({ length: 20 }, (_, index) => [`stopped-${index}`, 0]);
    const tenants = { few: { calls: 20, places } };
    await db.sql`INSERT INTO leases (name, holder, epoch, expires_at)
      VALUES (${`gateway-${stopped}`}, ${stopped}, 1, now() + interval '1 minute')`;
    await db.sql`INSERT INTO waiting_requests (gateway_id, count, tenants)
      VALUES (${stopped}, 20, ${JSON.stringify(tenants)}::text::jsonb)`;
    // Long enough for the next poll of each gateway to read the row.
    await pause(1_500);
    for (let round = 0; round < 3; round += 1) {
      const before = await openUsers('many');
      const [first = ''] = before;
      const releasedAt = performance.now();
      await release(gateways[0], 'many', first);
      await until('the next user has a session', async () =>
        (await openUsers('many')).find((user) => !before.includes(user)),
      );
      expect(performance.now() - releasedAt).toBeGreaterThan(200);
      expect(performance.now() - releasedAt).toBeLessThan(SOON_MS);
    }
    await db.sql`DELETE FROM leases WHERE holder = ${stopped}`;
    await end();
  });
});
