import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { GatewayId, WorkerId } from '../../src/domain/ids.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Database } from '../../src/events/database.ts';
import {
  LEASE_RENEW_INTERVAL_MS,
  LEASE_TTL_MS,
  SETTLE_LIMIT_MS,
} from '../../src/events/leases/leases.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
  commitOne,
  executionRequested,
  onWorker,
  workerLost,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';

/** The design promises that another gateway takes a dead gateway's leases within this time. */
const TAKE_OVER_LIMIT_MS = 3_000;

const db = await useDatabase();
const [gateway, other] = [await db.open(), await db.open()] as const;

/** Lets the lease expire as if its holder had died. */
const expire = (name: string) =>
  db.sql`UPDATE leases SET expires_at = clock_timestamp() - interval '1 ms' WHERE name = ${name}`;

/** Takes a lease from a living holder. If the holder renews it between the two steps, it is made to expire again. */
async function takeFromLiving<T>(name: string, acquire: () => Promise<T | null>): Promise<T> {
  let taken: T | null = null;
  await expect
    .poll(async () => {
      await expire(name);
      taken = await acquire();
      return taken;
    })
    .not.toBeNull();
  return taken as T;
}

async function lostName(database: Database): Promise<string> {
  const names = new EventTarget();
  const off = database.leases.onLost((name) =>
    names.dispatchEvent(new CustomEvent('lost', { detail: name })),
  );
  const [event] = await once(names, 'lost');
  off();
  return (event as CustomEvent<string>).detail;
}

async function idleWorker(): Promise<Worker> {
  const requested = await commitOne<'worker'>(gateway.store, workerRequested());
  return await commitOne<'worker'>(gateway.store, onWorker(requested, ...becomesIdle()));
}

describe('a lease', () => {
  it('is for one gateway at a time, and goes to the next when it is released', async () => {
    expect(await gateway.leases.acquire('upkeep')).toBe(1);
    expect(await other.leases.acquire('upkeep')).toBeNull();
    await gateway.leases.release('upkeep');
    expect(await other.leases.acquire('upkeep')).toBe(2);
    expect(await gateway.leases.acquire('upkeep')).toBeNull();
  });

  it('goes to a restarted gateway at once, with a higher epoch', async () => {
    const gatewayId = newId<GatewayId>();
    const first = await db.open(gatewayId);
    expect(await first.leases.acquire('restarted')).toBe(1);
    // The first was killed: it released nothing.
    const second = await db.open(gatewayId);
    expect(await second.leases.acquire('restarted')).toBe(2);
    expect(await other.leases.acquire('restarted')).toBeNull();
  });

  it('goes to one of many gateways that try to take it at the same time', async () => {
    const gateways = await Promise.all([1, 2, 3, 4].map(() => db.open()));
    const epochs = await Promise.all(gateways.map(({ leases }) => leases.acquire('contended')));
    expect(epochs.filter((epoch) => epoch !== null)).toEqual([1]);
  });

  it('lives on while its holder renews it', async () => {
    await gateway.leases.acquire('renewed');
    const expiresAt = async () => {
      const [row] = await db.sql<{ expiresAt: Date }[]>`
        SELECT expires_at FROM leases WHERE name = 'renewed'`;
      return row?.expiresAt.getTime() ?? 0;
    };
    const before = await expiresAt();
    await expect.poll(expiresAt).toBeGreaterThan(before + LEASE_RENEW_INTERVAL_MS / 2);
  });

  it('is reported as lost once another gateway has it', async () => {
    await gateway.leases.acquire('taken');
    const lost = lostName(gateway);
    await takeFromLiving('taken', () => other.leases.acquire('taken'));
    expect(await lost).toBe('taken');
  });

  it('is released by a gateway that closes, so that the next gateway need not wait', async () => {
    const closing = await db.open();
    await closing.leases.acquire('given-up');
    await closing.close();
    expect(await other.leases.acquire('given-up')).toBe(2);
  });
});

describe('otherGateways', () => {
  it('are the live gateways that have announced themselves', async () => {
    const [ids, living] = [[newId<GatewayId>(), newId<GatewayId>()] as const, await db.open()];
    const [closing, dying] = [await db.open(ids[0]), await db.open(ids[1])];
    expect(await living.leases.otherGateways()).toEqual([]);
    for (const { leases } of [living, closing, dying]) await leases.announce();
    expect(await living.leases.otherGateways()).toEqual([...ids].sort());
    expect(await closing.leases.otherGateways()).toHaveLength(2);
    await closing.close();
    expect(await living.leases.otherGateways()).toEqual([ids[1]]);
    await dying.close();
    expect(await living.leases.otherGateways()).toEqual([]);
    await living.close();
  });
});

describe('othersExpireInMs', () => {
  it('returns the time until the first lease of another gateway may be taken, and ignores the gateway’s own leases', async () => {
    const dead = newId<GatewayId>();
    const leave = (name: string, ms: number) => db.sql`
      INSERT INTO leases VALUES (${name}, ${dead}, 1, clock_timestamp() + ${ms} * interval '1 ms')`;
    const fresh = await useDatabase(onTestFinished);
    const only = await fresh.open();
    await only.leases.acquire('mine');
    expect(await only.leases.othersExpireInMs()).toBeNull();
    await leave('expired', -1);
    await leave('soon', 30_000);
    await leave('later', 60_000);
    const ms = await other.leases.othersExpireInMs();
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThanOrEqual(30_000);
    await db.sql`DELETE FROM leases WHERE holder = ${dead}`;
  });
});

describe('isHeld', () => {
  it('is true only as long as no other gateway can have the lease', async () => {
    const held = await db.open();
    expect(held.leases.isHeld('certain')).toBe(false);
    await held.leases.acquire('certain');
    expect(held.leases.isHeld('certain')).toBe(true);
    expect(other.leases.isHeld('certain')).toBe(false);
    await held.leases.release('certain');
    expect(held.leases.isHeld('certain')).toBe(false);
  });

  it('is false once the lease was not renewed for its whole life, and true again after a renewal', async () => {
    const proxy = await createDatabaseProxy(db.address);
    const cut = await db.open(newId<GatewayId>(), proxy.address);
    await cut.leases.acquire('cut');
    await proxy.refuse();
    await expect.poll(() => cut.leases.isHeld('cut')).toBe(false);
    await proxy.open();
    await expect.poll(() => cut.leases.isHeld('cut')).toBe(true);
    await cut.close();
    await proxy.close();
  });
});

describe('the lease on a worker', () => {
  it('of a dead gateway is taken over within the limit', async () => {
    const worker = await idleWorker();
    await gateway.leases.acquireWorker(worker.id);
    await leaveToDead(worker.id);
    const startedAt = performance.now();
    await expect
      .poll(() => other.leases.acquireWorker(worker.id), {
        interval: 100,
        timeout: TAKE_OVER_LIMIT_MS,
      })
      .toMatchObject({ epoch: 2 });
    expect(performance.now() - startedAt).toBeGreaterThan(LEASE_TTL_MS / 2);
  });

  it('passes the cursor on to the successor, and fences later commits of the predecessor', async () => {
    const worker = await idleWorker();
    const mine = await gateway.leases.acquireWorker(worker.id);
    if (!mine) throw new Error('not acquired');
    const stored = { ...mine, bootId: 'boot-1', seq: 41, progress: { execution: 'x', seq: 3 } };
    await gateway.store.commit({ streams: [], cursor: stored });
    const theirs = await takeFromLiving(`worker-${worker.id}`, () =>
      other.leases.acquireWorker(worker.id),
    );
    expect(theirs).toEqual({ ...stored, epoch: 2 });
    const late = gateway.store.commit({ streams: [], cursor: { ...stored, seq: 42 } });
    await expect(late).rejects.toMatchObject({ name: 'FencedError', workerId: worker.id });
  });

  it('never lets a commit slip in between the take-over and the cursor that the successor reads', async () => {
    const worker = await idleWorker();
    const mine = await gateway.leases.acquireWorker(worker.id);
    if (!mine) throw new Error('not acquired');
    let storedSeq = 0;
    const writing = (async () => {
      for (let seq = 1; ; seq += 1) {
        await gateway.store.commit({ streams: [], cursor: { ...mine, bootId: 'b', seq } });
        storedSeq = seq;
      }
    })();
    const fenced = expect(writing).rejects.toMatchObject({ name: 'FencedError' });
    await expect.poll(() => storedSeq).toBeGreaterThan(20);
    const taken = await takeFromLiving(`worker-${worker.id}`, () =>
      other.leases.acquireWorker(worker.id),
    );
    await fenced;
    expect(taken.seq).toBe(storedSeq);
  });

  it('shows the worker as orphaned while no live gateway holds it, from the request on', async () => {
    const [held, free] = [await idleWorker(), await idleWorker()];
    const requested = await commitOne<'worker'>(gateway.store, workerRequested());
    await gateway.leases.acquireWorker(held.id);
    const orphaned = await other.leases.unheldWorkers();
    expect(orphaned).toEqual(expect.arrayContaining([free.id, requested.id]));
    expect(orphaned).not.toContain(held.id);
    await gateway.leases.releaseWorker(held.id);
    expect(await other.leases.unheldWorkers()).toContain(held.id);
  });

  it('shows a worker that ended a while ago as orphaned only if it has unfinished executions', async () => {
    const lost = async (at: Date) =>
      await commitOne<'worker'>(gateway.store, onWorker(await idleWorker(), workerLost(at)));
    const longAgo = new Date(Date.now() - 2 * SETTLE_LIMIT_MS);
    const workers = [await lost(longAgo), await lost(longAgo), await lost(new Date())] as const;
    const [forgotten, settled, fresh] = workers;
    await commitOne(gateway.store, executionRequested({ workerId: forgotten.id }));
    await commitOne(gateway.store, executionRequested({ workerId: fresh.id }));
    const orphaned = await other.leases.unheldWorkers();
    expect(orphaned).toContain(forgotten.id);
    expect(orphaned).not.toContain(settled.id);
    expect(orphaned).not.toContain(fresh.id);
  });
});

/** Gives the lease to a holder that has just renewed it for the last time and died. */
async function leaveToDead(workerId: WorkerId): Promise<void> {
  await db.sql`
    UPDATE leases SET holder = ${newId<GatewayId>()},
      expires_at = clock_timestamp() + ${LEASE_TTL_MS} * interval '1 ms'
    WHERE name = ${`worker-${workerId}`}`;
}
