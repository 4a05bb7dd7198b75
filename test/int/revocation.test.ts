/**
 * What ends when a token ends: at a gateway that is notified, at one that is not, and at one that cannot reach the
 * database. The workers are programmed.
 */
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { pause } from '../../src/async/pause.ts';
import { newId } from '../../src/process/newId.ts';
import { STALE_MS } from '../../src/service/access/tokenCache.ts';
import { createTokenEnd } from '../../src/service/access/tokenEnd.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR, type Principal } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const AUTH_TOKEN = 'a-token-for-tests';
const ENDS_WITHIN_MS = 1_000;
const FOLLOW = 'subscription ($user: String!) { sessionOutput(userUuid: $user) { seq } }';
const RUN =
  'mutation ($user: String!, $code: String!) { execute(input: { userUuid: $user, code: $code }) { id status } }';

const { db, workers, start, userUuid } = await useServiceGateways({
  MAX_TOTAL_WORKERS: '3',
  MIN_IDLE_WORKERS: '1',
  AUTH_FAILURES_PER_MINUTE: '10000',
});
const proxy = await createDatabaseProxy(db.address);
const database = await db.open(undefined, proxy.address);
const [one, other] = [await start(), await start({ database })];
afterAll(async () => {
  await other.close();
  await database.close();
  await proxy.close();
});
afterEach(async () => {
  workers.letGo();
  const open = await db.sql<{ tenant: string; userUuid: string }[]>`
    SELECT tenant, user_uuid FROM sessions WHERE closed_at IS NULL`;
  for (const { tenant, userUuid: user } of open)
    await one.service.release({ ...OPERATOR, tenant }, user);
});
const port = (await other.server.listen()).port;

const create = (more = {}) =>
  one.service.createToken(OPERATOR, { name: 'a', role: 'TENANT', tenant: 'blue', ...more });
const revoke = (id: string) => one.service.revokeToken(OPERATOR, id);

function post(token: string, query: string, variables: object, accept = 'application/json') {
  return fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: accept, 'X-Auth-Token': token },
    body: JSON.stringify({ query, variables }),
  });
}
const codeOf = async (response: Promise<Response>) => {
  const { errors } = (await (await response).json()) as {
    errors?: { extensions: { code: string } }[];
  };
  return errors?.[0]?.extensions.code;
};

/** Follows over server-sent events. `cut` resolves when the connection is cut, with the text received until then. */
async function followEvents(token: string): Promise<{ readonly cut: Promise<string> }> {
  const response = await post(token, FOLLOW, { user: userUuid() }, 'text/event-stream');
  expect(response.status).toBe(200);
  const read = async () => {
    let text = '';
    try {
      for await (const piece of response.body ?? []) text += Buffer.from(piece).toString();
    } catch {
      return text;
    }
    throw new Error(`The stream was ended, not cut: ${text}`);
  };
  return { cut: read() };
}

/** Follows over a WebSocket. */
async function followSocket(token: string) {
  const codes: number[] = [];
  let isOpen = false;
  const client = createClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { 'X-Auth-Token': token },
    retryAttempts: 0,
    on: {
      connected: () => {
        isOpen = true;
      },
      closed: (event) => {
        codes.push((event as { code: number }).code);
      },
    },
  });
  onTestFinished(() => void client.dispose());
  let isComplete = false;
  client.subscribe(
    { query: FOLLOW, variables: { user: userUuid() } },
    {
      next: () => {},
      error: () => {},
      complete: () => {
        isComplete = true;
      },
    },
  );
  await until('the connection', async () => isOpen);
  return { codes, isComplete: () => isComplete };
}

describe.each(['hears of it', 'does not hear of it'])(
  'when a token ends, at a gateway that %s,',
  (how) => {
    it('streams and waiting calls end within a second, and those of others go on', async () => {
      const { secret, token } = await create();
      const user = userUuid();
      const socket = await followSocket(secret);
      const others = await followSocket(AUTH_TOKEN);
      const { cut } = await followEvents(secret);
      const begun = workers.begun.length;
      workers.hold();
      const called = codeOf(post(secret, RUN, { user, code: HOLD }));
      await until('the code to run', async () => workers.begun.length > begun);
      if (how === 'does not hear of it') proxy.stallListening();
      const revokedAt = performance.now();
      await revoke(token.id);
      const [said, code] = await Promise.all([cut, called]);
      await until('the end of the socket', async () => socket.codes.length > 0);
      expect(performance.now() - revokedAt).toBeLessThan(ENDS_WITHIN_MS);
      expect(socket.codes).toEqual([4401]);
      expect(said).toContain('UNAUTHENTICATED');
      expect(said).not.toContain('event: complete');
      expect([code, others.codes]).toEqual(['UNAUTHENTICATED', []]);
      expect(await codeOf(post(secret, '{ viewer { tenant } }', {}))).toBe('UNAUTHENTICATED');
      workers.letGo();
      await until('the end of the code, which goes on', async () => {
        const [row] = await db.sql`SELECT status FROM executions WHERE user_uuid = ${user}`;
        return row?.status === 'OK';
      });
    });
  },
);

it('streams of a token end by themselves when it expires', async () => {
  const lifeMs = 800;
  const { secret } = await create({ expiresAt: new Date(Date.now() + lifeMs) });
  const socket = await followSocket(secret);
  const { cut } = await followEvents(secret);
  const since = performance.now();
  expect(await cut).toContain('UNAUTHENTICATED');
  await until('the end of the socket', async () => socket.codes.length > 0);
  expect(performance.now() - since).toBeLessThan(lifeMs + ENDS_WITHIN_MS);
  expect(socket.codes).toEqual([4401]);
});

it('a call that waits for a worker leaves its place, and never begins anything', async () => {
  const holders = ['h1', 'h2', 'h3'];
  for (const user of holders) await one.service.execute(OPERATOR, { userUuid: user, code: '1' });
  const { secret, token } = await create();
  const user = userUuid();
  const calls = [
    RUN,
    'mutation ($user: String!, $code: String!) { writeFile(input: { userUuid: $user, path: "a", content: { text: $code } }) { path } }',
    'mutation ($user: String!) { makeDirectory(input: { userUuid: $user, path: "b" }) { path } }',
  ].map((query) => codeOf(post(secret, query, { user, code: '1' })));
  const waiting = async () => (await one.pool.status()).waitingRequests;
  await until('all calls to wait', async () => (await waiting()) === calls.length);
  await revoke(token.id);
  expect(await Promise.all(calls)).toEqual(calls.map(() => 'UNAUTHENTICATED'));
  await until('no call to wait', async () => (await waiting()) === 0);
  await one.service.release(OPERATOR, 'h1');
  await one.service.execute(OPERATOR, { userUuid: 'h1', code: '1' });
  const begun = await db.sql`
    SELECT user_uuid FROM sessions WHERE user_uuid = ${user}
    UNION ALL SELECT user_uuid FROM executions WHERE user_uuid = ${user}
    UNION ALL SELECT user_uuid FROM file_changes WHERE user_uuid = ${user}`;
  expect(begun).toEqual([]);
});

it('input that waits for other input, or for the database, is refused once its token has ended', async () => {
  workers.hold();
  const blue = { ...OPERATOR, tenant: 'blue' };
  const asked = { userUuid: userUuid(), code: HOLD, allowInput: true };
  const { id } = await one.service.submit(blue, asked);
  const tokenEnd = createTokenEnd(() => null);
  const holder = { ...blue, tokenId: newId(), tokenEnd };
  await proxy.refuse();
  const send = (of: Principal, text: string) =>
    other.service.sendInput(of, { executionId: id, text });
  const sent = Promise.allSettled(['a', 'b'].map((text) => send(holder, text)));
  const after = send(blue, 'c');
  tokenEnd.end();
  const ended = expect.objectContaining({ code: 'UNAUTHENTICATED' });
  expect(await sent).toEqual(['a', 'b'].map(() => ({ status: 'rejected', reason: ended })));
  await proxy.open();
  expect(await after).toMatchObject({ offset: 0, nextOffset: 1 });
});

it('a gateway that has lost the database waits for it before it answers a call with a token, but not with AUTH_TOKEN', async () => {
  const { secret, token } = await create();
  const viewer = '{ viewer { tenant } }';
  expect((await post(secret, viewer, {})).status).toBe(200);
  await proxy.refuse();
  await pause(STALE_MS + 300);
  let answered: number | null = null;
  const asked = post(secret, viewer, {}).then(({ status }) => {
    answered = status;
  });
  expect((await post(AUTH_TOKEN, viewer, {})).status).toBe(200);
  await revoke(token.id);
  expect(answered).toBeNull();
  await proxy.open();
  await asked;
  expect(answered).toBe(401);
});
