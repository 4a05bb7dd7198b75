import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { createClient, type DatabaseAddress } from '../../src/events/connection/client.ts';
import { until } from '../../testkit/until.ts';
import { makeCertificate } from '../support/certificate.ts';

const sockets = new Set<net.Socket>();
let isStalled = false;
/** A client's chunk with this number, counted from 1, is not passed on. Instead, the client's connection is reset. */
let cutAfter = Number.POSITIVE_INFINITY;
let address: DatabaseAddress;
const relay = net.createServer((client) => {
  const server = inject('database');
  const upstream = net.connect(`${server.host}/.s.PGSQL.${server.port}`);
  for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
  client.on('data', (chunk) => {
    cutAfter -= 1;
    if (cutAfter === 0) client.resetAndDestroy();
    else if (!isStalled) upstream.write(chunk);
    if (chunk.includes('pg_sleep')) relay.emit('sleep', client);
  });
  upstream.on('data', (chunk) => client.write(chunk));
  client.on('close', () => upstream.destroy());
});

/** Leads to `relay`. A client first asks whether it may use TLS. */
const tlsRelay = net.createServer((client) => {
  client.once('data', () => {
    client.write('S');
    const { text, keyFile } = certificate;
    const options = { isServer: true, cert: text, key: readFileSync(keyFile) };
    relay.emit('connection', new TLSSocket(client, options));
  });
});
let overTls: DatabaseAddress;
const folder = mkdtempSync(join(tmpdir(), 'ch-database-client-'));
const certificate = makeCertificate(folder, ['localhost']);

beforeAll(async () => {
  const ports = [relay, tlsRelay].map(async (server) => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as net.AddressInfo).port;
  });
  const [port = 0, tlsPort = 0] = await Promise.all(ports);
  const server = inject('database');
  address = { ...server, host: '127.0.0.1', port };
  const { username, database } = server;
  overTls = { url: `postgres://${username}@127.0.0.1:${tlsPort}/${database}?sslmode=require` };
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of [relay, tlsRelay]) server.close();
  rmSync(folder, { recursive: true });
});

describe('a connection', () => {
  it.each([1, 2, 3])(
    'that is lost at step %i of connecting causes no unhandled rejection, and the next query succeeds',
    async (step) => {
      const unhandled: unknown[] = [];
      const note = (reason: unknown) => unhandled.push(reason);
      process.on('unhandledRejection', note);
      const { sql, answered, close } = createClient(address, { name: 'cut', maxConnections: 1 });
      cutAfter = step;
      await Promise.allSettled([answered(sql`SELECT 1`)]);
      cutAfter = Number.POSITIVE_INFINITY;
      expect([...(await answered(sql`SELECT 2 AS two`))]).toEqual([{ two: 2 }]);
      await close(0);
      process.off('unhandledRejection', note);
      expect(unhandled).toEqual([]);
    },
  );

  it('passes arrays of texts and numbers as they are', async () => {
    const { sql, answered, close } = createClient(address, { name: 'arrays', maxConnections: 1 });
    const texts = ['', 'a,b', '{c}', '"d" \\e\n', 'NULL', 'null', 'é😀'];
    const ids = ['0197a000-0000-7000-8000-000000000001', '0197a000-0000-7000-8000-000000000002'];
    const rows = await answered(sql`SELECT ${texts}::text[] AS texts, ${[]}::text[] AS none,
      ${ids}::uuid[] AS ids, ${[1, -2]}::int[] AS integers, ${[2 ** 40]}::bigint[] AS bigints,
      array['x', NULL] AS holes, ${['2026-01-31T12:00:00.000Z']}::timestamptz[] = array['2026-01-31 12:00Z'::timestamptz] AS "isSame"`);
    expect([...rows]).toEqual([
      {
        texts,
        none: [],
        ids,
        integers: [1, -2],
        bigints: [2 ** 40],
        holes: ['x', null],
        isSame: true,
      },
    ]);
    await close(0);
  });

  it.each([
    ['TCP', () => address, 'NO_ANSWER'],
    ['TLS', () => overTls, 'CONNECTION_CLOSED'],
  ])(
    'over %s that is half open ends its queries within the limit, and the next query uses a new one',
    async (_, reach, sharedCode) => {
      const limits = { name: 'half-open', maxConnections: 2, answerTimeoutMs: 200 };
      const { sql, answered, close } = createClient(reach(), limits);
      await answered(sql`SELECT 1`);
      isStalled = true;
      // The last query shares a connection with a query that has waited longer, and fails together with it.
      const all = await Promise.allSettled([
        answered(sql`SELECT 2`),
        answered(sql`SELECT 3`),
        delay(100).then(() => answered(sql`SELECT 5`)),
      ]);
      const codes = ['NO_ANSWER', 'NO_ANSWER', sharedCode];
      expect(all).toMatchObject(codes.map((code) => ({ reason: { code } })));
      isStalled = false;
      expect([...(await answered(sql`SELECT 4 AS four`))]).toEqual([{ four: 4 }]);
      await close(0);
    },
  );

  it('is not given up if the answer came while this process was paused', async () => {
    const limits = { name: 'paused', maxConnections: 1, answerTimeoutMs: 200 };
    const { sql, answered, close } = createClient(address, limits);
    await answered(sql`SELECT 1`);
    const answer = answered(sql`SELECT 2 AS two`);
    // The query is sent before this process stops running.
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    expect([...(await answer)]).toEqual([{ two: 2 }]);
    await close(0);
  });

  it('whose statements have no time limit waits for their answers without a limit', async () => {
    const limits = { name: 'patient', maxConnections: 1, statementTimeoutMs: 0 };
    const { sql, answered, close } = createClient(address, limits);
    await answered(sql`SELECT 1`);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const sleeping = once(relay, 'sleep');
    const answer = answered(sql`SELECT 2 AS two FROM pg_sleep(0.3)`);
    await sleeping;
    const given = Promise.allSettled([answer]);
    await vi.advanceTimersByTimeAsync(60_000);
    vi.useRealTimers();
    expect(await given).toMatchObject([{ status: 'fulfilled', value: [{ two: 2 }] }]);
    await close(0);
  });

  it('that is reset loses no query, not even a query that is sent at the moment when another one fails', async () => {
    const limits = { name: 'reset', maxConnections: 1, answerTimeoutMs: 5_000 };
    const { sql, answered, close } = createClient(address, limits);
    await answered(sql`SELECT 1`);
    const sleeping = once(relay, 'sleep');
    const resent = answered(sql`SELECT pg_sleep(3)`).catch(() => answered(sql`SELECT 2 AS two`));
    const [client] = (await sleeping) as [net.Socket];
    client.resetAndDestroy();
    expect([...(await resent)]).toEqual([{ two: 2 }]);
    await close(0);
  });

  it('does not remain after its client was closed, even in the middle of connecting', async () => {
    for (let turn = 0; turn < 40; turn += 1) {
      const { sql, answered, close } = createClient(address, { name: 'closed', maxConnections: 1 });
      cutAfter = 1 + (turn % 4);
      const asked = Promise.allSettled([answered(sql`SELECT 1`)]);
      await delay(turn / 4);
      await close(0);
      await asked;
    }
    cutAfter = Number.POSITIVE_INFINITY;
    const areAllClosed = async () => [...sockets].every(({ destroyed }) => destroyed);
    await until('all connections are closed', areAllClosed, 2_000);
    // A late connection would be made within the longest pause between two attempts.
    await delay(600);
    await until('none is made late', areAllClosed, 0);
  });

  it('that cannot be made fails at once', async () => {
    const nowhere = { host: '127.0.0.1', port: 1, database: 'none', username: 'none' };
    const { sql, answered, close } = createClient(nowhere, { name: 'none', maxConnections: 1 });
    await expect(answered(sql`SELECT 1`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(answered(sql`SELECT 1`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await close(0);
  });
});
