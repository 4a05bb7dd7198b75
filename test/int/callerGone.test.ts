/** Calls whose client leaves while they wait for a worker. The workers are programmed. */
import { expect, it, onTestFinished } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';
import { startTransport, TOKEN } from '../support/transportServer.ts';

const { db, start } = await useServiceGateways({ MIN_IDLE_WORKERS: '0', MAX_TOTAL_WORKERS: '1' });
const { service } = await start();

const RUN = 'userUuid: "bob", code: "1"';
const CALLS = {
  execute: `execute(input: { ${RUN} }) { id }`,
  submit: `submit(input: { ${RUN}, idempotencyKey: "k" }) { id }`,
  executeBatch:
    'executeBatch(input: { userUuid: "bob", cells: [{ code: "1" }] }) { executions { id } }',
  openSession: 'openSession(input: { userUuid: "bob" }) { id }',
  createContext: 'createContext(input: { userUuid: "bob" }) { id }',
};

const waiting = async () => (await service.poolStatus(AUTH_TOKEN_HOLDER)).waitingRequests;
const usersWithSession = async () =>
  (await db.queries.openSessions()).map(({ userUuid }) => userUuid);

const ask = (origin: string, call: string, signal: AbortSignal | null = null) =>
  fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': TOKEN },
    body: JSON.stringify({ query: `mutation { ${call} }` }),
    signal,
  });

/** Takes the only worker. The returned function gives it back. */
async function fillPool() {
  await service.execute(AUTH_TOKEN_HOLDER, { userUuid: 'ann', code: '1' });
  return () => service.release(AUTH_TOKEN_HOLDER, 'ann');
}

/** The worker is free again, and nobody has taken it. */
async function expectNoSession() {
  await service.execute(AUTH_TOKEN_HOLDER, { userUuid: 'eve', code: '1' });
  expect(await usersWithSession()).toEqual(['eve']);
  expect((await db.sql`SELECT FROM sessions WHERE user_uuid = 'bob'`).length).toBe(0);
  await service.release(AUTH_TOKEN_HOLDER, 'eve');
}

it.each(Object.entries(CALLS))(
  'over HTTP, %s opens no session once its client has left',
  async (_name, call) => {
    const { origin } = await startTransport(service);
    const empty = await fillPool();
    const client = new AbortController();
    const answer = ask(origin, call, client.signal);
    await until('the call waits', async () => (await waiting()) === 1);
    client.abort();
    await expect(answer).rejects.toThrow();
    await until('the call waits no more', async () => (await waiting()) === 0);
    await empty();
    await expectNoSession();
  },
);

it('over WebSocket, a call opens no session once its connection is closed', async () => {
  const { connect } = await startTransport(service);
  const empty = await fillPool();
  const connection = await connect();
  onTestFinished(() => connection.socket.terminate());
  connection.send({
    id: '1',
    type: 'subscribe',
    payload: { query: `mutation { ${CALLS.execute} }` },
  });
  await until('the call waits', async () => (await waiting()) === 1);
  connection.socket.terminate();
  await until('the call waits no more', async () => (await waiting()) === 0);
  await empty();
  await expectNoSession();
});

it('a call whose client stays waits, and opens a session', async () => {
  const { origin } = await startTransport(service);
  const empty = await fillPool();
  const answer = ask(origin, CALLS.execute);
  await until('the call waits', async () => (await waiting()) === 1);
  await empty();
  expect((await answer).status).toBe(200);
  expect(await usersWithSession()).toEqual(['bob']);
  await service.release(AUTH_TOKEN_HOLDER, 'bob');
});
