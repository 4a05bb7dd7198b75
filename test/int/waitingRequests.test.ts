import { once } from 'node:events';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { pause } from '../../src/async/pause.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import { createClient } from '../../src/events/connection/client.ts';
import { createWaitingRequests } from '../../src/events/wakeUps/waitingRequests.ts';
import { newId } from '../../src/process/newId.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';
import { createGate } from '../support/gate.ts';

const db = await useDatabase();
/** This many waiting calls of one tenant. Their places are left out, because these tests do not need them. */
const calls = (count: number) => () => ({
  calls: new Map(count > 0 ? [['default', count]] : []),
  places: [],
});
const [here, there] = [await db.open(), await db.open()] as const;

describe('waiting requests', () => {
  it('are added up over gateways, and other gateways learn of a change at once', async () => {
    const woken = new EventTarget();
    // A notification has the type 'changed'. A poll has another type, because it knows only that a change is possible.
    const off = there.wakeUps.onWaiting((change) => woken.dispatchEvent(new Event(change)));
    there.waiting.set(calls(2));
    here.waiting.set(calls(3));
    expect(await here.waiting.total()).toBeGreaterThanOrEqual(3);
    await once(woken, 'changed');
    for (const gateway of [here, there]) await expect.poll(() => gateway.waiting.total()).toBe(5);
    here.waiting.set(calls(0));
    await expect.poll(() => there.waiting.total()).toBe(2);
    there.waiting.set(calls(0));
    await expect.poll(() => here.waiting.total()).toBe(0);
    off();
  });

  it('have the number that was set last, however fast it changes', async () => {
    for (let count = 1; count <= 50; count += 1) here.waiting.set(calls(count % 7));
    await expect.poll(() => there.waiting.total()).toBe(50 % 7);
    here.waiting.set(calls(0));
    await expect.poll(() => there.waiting.total()).toBe(0);
  });

  it('leave no row if there were none', async () => {
    const gatewayId = newId<GatewayId>();
    const brief = await db.open(gatewayId);
    // Longer than the time after which a gateway first publishes its waiting calls.
    await pause(500);
    const rows = await db.sql`SELECT 1 FROM waiting_requests WHERE gateway_id = ${gatewayId}`;
    expect(rows).toEqual([]);
    await brief.close();
  });

  it('of a gateway that has closed or died do not count', async () => {
    const proxy = await createDatabaseProxy(db.address);
    const closing = await db.open();
    const dying = await db.open(newId<GatewayId>(), proxy.address);
    closing.waiting.set(calls(4));
    dying.waiting.set(calls(8));
    await expect.poll(() => here.waiting.total()).toBe(12);
    await closing.close();
    await expect.poll(() => here.waiting.total()).toBe(8);
    await proxy.refuse();
    await expect.poll(() => here.waiting.total()).toBe(0);
    await proxy.open();
    await dying.close();
    await proxy.close();
  });

  it('from before a gateway was killed do not count when it is back', async () => {
    const gatewayId = newId<GatewayId>();
    const proxy = await createDatabaseProxy(db.address);
    const killed = await db.open(gatewayId, proxy.address);
    killed.waiting.set(calls(8));
    await expect.poll(() => here.waiting.total()).toBe(8);
    await proxy.refuse();
    const successor = await db.open(gatewayId);
    await successor.leases.announce();
    await expect.poll(() => here.waiting.total()).toBe(0);
    await successor.close();
    await proxy.open();
    await killed.close();
    await proxy.close();
  });

  it('are announced when the database is back', async () => {
    const proxy = await createDatabaseProxy(db.address);
    const cut = await db.open(newId<GatewayId>(), proxy.address);
    await proxy.refuse();
    cut.waiting.set(calls(1));
    await proxy.open();
    await expect.poll(() => here.waiting.total()).toBe(1);
    await cut.close();
    await proxy.close();
  });
});

it('a user who is served while the places are read is not among them, and a second caller waits for the read', async () => {
  const place = (user: string) => ({ tenant: 'default', user, since: 1, environment: null });
  const isPublished = async () =>
    (await db.sql`SELECT FROM waiting_requests WHERE count = 2`).length === 1;
  there.waiting.set(() => ({
    calls: new Map([['default', 2]]),
    places: ['served', 'waiting'].map(place),
  }));
  await expect.poll(isPublished).toBe(true);
  const client = createClient(db.address, { name: 'slow', maxConnections: 1 });
  const gate = createGate();
  const slow = createWaitingRequests({
    client: {
      ...client,
      answered: async (query) => {
        const rows = await client.answered(query);
        await gate.isOpen;
        return rows;
      },
    },
    gatewayId: newId<GatewayId>(),
    leases: { announce: async () => undefined },
    onWaiting: () => () => undefined,
    logger: pino({ level: 'silent' }),
  });
  const callers = [slow.elsewhere(), slow.elsewhere()];
  slow.served('served');
  gate.open();
  expect(await Promise.all(callers)).toEqual([[place('waiting')], [place('waiting')]]);
  there.waiting.set(calls(0));
  await slow.close();
  await client.close(1_000);
});
