/**
 * When a token is revoked, its 100 open streams at two gateways end within a second, even at a gateway that gets no
 * events any more.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, interrupt, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';
import { openFiles } from '../support/fileClient.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const SOCKETS = 50;
const EVENT_STREAMS = 30;
const DOWNLOADS = 20;
const ENDS_WITHIN_MS = 1_000;
const USER = 'ann';
const PRINT = "import time\nwhile True:\n    print('.')\n    time.sleep(0.2)";
/** Makes a sparse file, which takes no room. To send it takes longer than any test. */
const SPARSE = "f = open('sparse', 'wb')\nf.truncate(1 << 36)\nf.close()";
const CREATE = `mutation { createToken(input: { name: "a", role: USER, userUuid: "${USER}" }) { secret token { id } } }`;
const FOLLOW = `subscription { sessionOutput(userUuid: "${USER}") { seq } }`;

let installation: TestInstallation;
let proxy: DatabaseProxy;
let gateways: readonly TestGateway[];
beforeAll(async () => {
  installation = await createInstallation({ MIN_IDLE_WORKERS: '0' });
  proxy = await createDatabaseProxy(installation.address);
  gateways = [await installation.start(), await installation.start({ DATABASE_URL: proxy.url })];
});
afterAll(async () => {
  await installation.destroy();
  await proxy.close();
});

interface Stream {
  /** How many pieces have come. */
  count: number;
  /** When the stream ended, by `performance.now()`; null while it is open. */
  endedAt: number | null;
}

const ended = (stream: Stream) => {
  stream.endedAt ??= performance.now();
};

function overSocket({ url }: TestGateway, token: string): Stream & { readonly client: Client } {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { 'X-Auth-Token': token },
    retryAttempts: 0,
    on: { closed: () => ended(stream) },
  });
  const stream = { count: 0, endedAt: null as number | null, client };
  const next = () => {
    stream.count += 1;
  };
  client.subscribe({ query: FOLLOW }, { next, error: () => {}, complete: () => {} });
  return stream;
}

function readAll(stream: Stream, pieces: AsyncIterable<unknown>, pauseMs: () => number): void {
  const read = async () => {
    for await (const _ of pieces) {
      stream.count += 1;
      if (pauseMs() > 0) await wait(pauseMs());
    }
  };
  read().then(
    () => ended(stream),
    () => ended(stream),
  );
}

async function overEvents({ url }: TestGateway, token: string): Promise<Stream> {
  const stream: Stream = { count: 0, endedAt: null };
  const headers = { 'Content-Type': 'application/json', Accept: 'text/event-stream' };
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { ...headers, 'X-Auth-Token': token },
    body: JSON.stringify({ query: FOLLOW }),
  });
  expect(answer.status).toBe(200);
  if (answer.body) readAll(stream, answer.body, () => 0);
  return stream;
}

/** A download whose client pauses after each piece, so that 20 downloads do not take all CPUs. */
async function ofFile({ port }: TestGateway, token: string, pauseMs: () => number) {
  const stream: Stream = { count: 0, endedAt: null };
  const answer = await openFiles({ port, token }, { method: 'GET', path: `${USER}/sparse` });
  expect(answer.statusCode).toBe(200);
  readAll(stream, answer, pauseMs);
  return stream;
}

it('100 streams at two gateways end within a second with their token, even at a gateway that gets no events', async () => {
  const [one, deaf] = gateways as [TestGateway, TestGateway];
  await execute(one, USER, SPARSE);
  const { id } = await submit(one, USER, PRINT, { timeoutMs: 120_000 });
  const { data } = await one.graphql<{
    createToken: { secret: string; token: { id: string } };
  }>(CREATE);
  if (!data) throw new Error('There is no token.');
  const { secret, token } = data.createToken;
  let isRevoked = false;
  const pauseMs = () => (isRevoked ? 0 : 100);
  const each = <T>(count: number, open: (gateway: TestGateway) => T): T[] =>
    Array.from({ length: count }, (_, index) => open(index % 2 === 0 ? one : deaf));
  const sockets = each(SOCKETS, (gateway) => overSocket(gateway, secret));
  const others = each(2, (gateway) => overSocket(gateway, gateway.token));
  const streams = [
    ...sockets,
    ...(await Promise.all(each(EVENT_STREAMS, (gateway) => overEvents(gateway, secret)))),
    ...(await Promise.all(each(DOWNLOADS, (gateway) => ofFile(gateway, secret, pauseMs)))),
  ];
  expect(streams).toHaveLength(100);
  await until('all to flow', async () => [...streams, ...others].every(({ count }) => count > 1));
  proxy.stallListening();
  expect(streams.filter(({ endedAt }) => endedAt !== null)).toEqual([]);

  const revoked = await one.graphql(
    `mutation { revokeToken(input: { id: "${token.id}" }) { revokedAt } }`,
  );
  // The revocation holds once it is answered, so the second begins now. Many streams have ended by then.
  const answeredAt = performance.now();
  isRevoked = true;
  expect(revoked.errors).toBeUndefined();
  await until('the end of all streams', async () => streams.every(({ endedAt }) => endedAt));
  const tookMs = Math.max(...streams.map(({ endedAt }) => (endedAt ?? 0) - answeredAt));
  expect(tookMs).toBeLessThan(ENDS_WITHIN_MS);

  // Streams of another token go on.
  const counts = others.map(({ count }) => count);
  await until('more for the others', async () =>
    others.every(({ count }, index) => count > (counts[index] ?? 0)),
  );
  expect(others.map(({ endedAt }) => endedAt)).toEqual([null, null]);
  for (const { client } of [...sockets, ...others]) await client.dispose();
  await interrupt(one, id);
});
