/** Wrong tokens are limited by the address that sends them, over HTTP, WebSocket and `/files/` together. */
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const PER_MINUTE = 6;
const AUTH_TOKEN = 'a-token-for-tests';
const WRONG = `ch_${'A'.repeat(43)}`;

const { db, start } = await useServiceGateways({ AUTH_FAILURES_PER_MINUTE: String(PER_MINUTE) });
const settings = { AUTH_FAILURES_PER_MINUTE: String(PER_MINUTE), TRUSTED_PROXIES: '127.0.0.0/8' };
const [direct, proxied] = [await start(), await start({ settings })];
const ports = [(await direct.server.listen()).port, (await proxied.server.listen()).port] as const;

const create = async (role: 'TENANT' | 'AUDITOR' = 'TENANT') =>
  (await direct.service.createToken(OPERATOR, { name: role.toLowerCase(), role })).secret;

function ask(port: number, token: string, more: { query?: string; from?: string } = {}) {
  const { query = '{ viewer { tenant } }', from } = more;
  return fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: {
      ...{ 'Content-Type': 'application/json', 'X-Auth-Token': token },
      ...(from && { 'X-Forwarded-For': from }),
    },
    body: JSON.stringify({ query }),
  });
}
const statusOf = async (response: Promise<Response>) => (await response).status;

function closeCode(port: number, token: string): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws');
  socket.on('open', () =>
    socket.send(JSON.stringify({ type: 'connection_init', payload: { 'X-Auth-Token': token } })),
  );
  return new Promise((resolve) => socket.on('close', resolve));
}

it('an address that has sent too many wrong tokens must wait, but not its neighbours', async () => {
  const [port] = ports;
  const [neighbour, unused] = [await create(), await create()];
  expect(await statusOf(ask(port, neighbour))).toBe(200);
  expect(await statusOf(ask(port, AUTH_TOKEN))).toBe(200);
  const files = (token: string) =>
    fetch(`http://127.0.0.1:${port}/files/ann/a`, { headers: { 'X-Auth-Token': token } });
  // Guesses on all wires count together. A call without a token is not a guess: a WebSocket has none in its headers.
  for (let time = 0; time < PER_MINUTE - 2; time += 1)
    expect(await statusOf(ask(port, WRONG))).toBe(401);
  expect(await statusOf(ask(port, ''))).toBe(401);
  expect(await statusOf(files(WRONG))).toBe(401);
  expect(await closeCode(port, WRONG)).toBe(4403);

  const refused = await ask(port, WRONG);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({
    errors: [{ extensions: { code: 'UNAUTHENTICATED', retryAfterMs: expect.any(Number) } }],
  });
  expect(await statusOf(ask(port, WRONG, { from: '198.51.100.7' }))).toBe(429);
  expect(await statusOf(files(WRONG))).toBe(429);
  // Not even a valid token is checked, unless this address has used it before.
  expect(await statusOf(ask(port, unused))).toBe(429);
  expect(await closeCode(port, unused)).toBe(4403);
  for (const token of [neighbour, AUTH_TOKEN]) expect(await statusOf(ask(port, token))).toBe(200);
  const metrics = await fetch(`http://127.0.0.1:${port}/metrics`, {
    headers: { 'X-Auth-Token': AUTH_TOKEN },
  });
  const text = await metrics.text();
  expect(text).toMatch(new RegExp(`^cellhouse_failed_logins_total ${PER_MINUTE}$`, 'm'));
  expect(text).toMatch(/^cellhouse_limited_addresses 1$/m);
});

it('behind a trusted proxy, callers are told apart by what the proxy says', async () => {
  const [, port] = ports;
  const token = await create();
  const [guesser, other] = ['198.51.100.7', '198.51.100.8'];
  for (let time = 0; time < PER_MINUTE; time += 1)
    expect(await statusOf(ask(port, WRONG, { from: `203.0.113.${time}, ${guesser}` }))).toBe(401);
  expect(await statusOf(ask(port, token, { from: guesser }))).toBe(429);
  expect(await statusOf(ask(port, token, { from: `${guesser}, ${other}` }))).toBe(200);
});

it('refused calls are counted by token, and recorded', async () => {
  const auditor = await create('AUDITOR');
  const [, port] = ports;
  const query = 'mutation { release(input: { userUuid: "ann" }) { released } }';
  const from = '198.51.100.9';
  for (let time = 0; time < 3; time += 1) {
    const answer = (await (await ask(port, auditor, { query, from })).json()) as object;
    expect(answer).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
  }
  const counted = async (name: string | null, operation: string) => {
    const [row] = await db.sql`
      SELECT sum(count)::int AS count FROM audit.refused_calls
      WHERE name IS NOT DISTINCT FROM ${name} AND operation = ${operation}`;
    return row?.count as number | null;
  };
  await until('the counts', async () => (await counted('auditor', 'release')) === 3);
  // In the tests above, one gateway refused 6 wrong tokens and then 5 calls without a check, the other 6 and 1.
  await until('the counts', async () => (await counted(null, 'authenticate')) === 18);
  expect(
    await db.sql`SELECT 1 FROM events WHERE metadata -> 'actor' ->> 'role' = 'AUDITOR'`,
  ).toEqual([]);
});
