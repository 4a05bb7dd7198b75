/**
 * Keys of sandboxes, at two gateways: where they are accepted, what they may do after the sandbox has ended, and how
 * many wrong keys an address may send.
 */
import { expect, it } from 'vitest';
import { signatureOf } from '../../src/doors/e2b/envd/files.ts';
import { newSandboxId, userOf } from '../../src/doors/e2b/sandbox.ts';
import {
  AUTH_TOKEN_BY_DOOR,
  AUTH_TOKEN_HOLDER,
  type Principal,
} from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const GUESSES = 5;
const { start } = await useServiceGateways({
  AUTH_FAILURES_PER_MINUTE: String(GUESSES),
  TRUSTED_PROXIES: '127.0.0.1',
});
const [one, other] = [await start(), await start()];
const ports = [(await one.server.listen()).port, (await other.server.listen()).port];
const holder: Principal = AUTH_TOKEN_BY_DOOR.e2b;

async function newSandbox() {
  const id = newSandboxId();
  const userUuid = userOf(holder, id);
  const { service } = one;
  await service.openSession(AUTH_TOKEN_HOLDER, { userUuid, maxLifeMs: 60_000 });
  return { id, userUuid, key: await service.sessionKey(holder, userUuid) };
}

let addresses = 0;
/** A new address, so that tests do not use up each other's attempts. */
function addressOf(): string {
  addresses += 1;
  return `10.1.${addresses}.7`;
}

async function ask(
  at: number,
  path: string,
  headers: Record<string, string>,
  address = addressOf(),
) {
  const answer = await fetch(`http://127.0.0.1:${ports[at]}${path}`, {
    headers: { 'X-Forwarded-For': address, ...headers },
  });
  return {
    status: answer.status,
    body: await answer.text(),
    retry: answer.headers.get('retry-after'),
  };
}

const health = (at: number, id: string, key?: string, address?: string) =>
  ask(at, '/e2b/health', { 'E2b-Sandbox-Id': id, ...(key && { 'X-Access-Token': key }) }, address);

it('a key is accepted at every gateway until its sandbox is killed at one of them', async () => {
  const { id, userUuid, key } = await newSandbox();
  for (const at of [0, 1]) expect((await health(at, id, key)).status).toBe(204);
  await one.service.release(AUTH_TOKEN_HOLDER, userUuid);
  const gone = { sandboxId: id, message: 'The sandbox was not found', code: 502 };
  for (const at of [0, 1])
    await until('the gateway has heard of it', async () => {
      const { status, body } = await health(at, id, key);
      return status === 502 && JSON.stringify(gone) === body;
    });
});

it('a key opens no session in the place of one that has ended', async () => {
  const { id, userUuid, key } = await newSandbox();
  await one.service.release(AUTH_TOKEN_HOLDER, userUuid);
  expect((await health(0, id, key)).status).toBe(502);
  expect((await one.service.session(AUTH_TOKEN_HOLDER, userUuid))?.closedAt).not.toBeNull();
});

it('a key opens no session after the user has accepted the end, not even at a gateway that does not know of it yet', async () => {
  const { userUuid } = await newSandbox();
  const ofKey: Principal = {
    ...holder,
    role: 'USER',
    users: { uuid: userUuid },
    isOfSession: true,
  };
  for (const _ of ['ends it', 'accepts its end'])
    await one.service.release(AUTH_TOKEN_HOLDER, userUuid);
  const gone = new AbortController().signal;
  const refused = expect.objectContaining({ code: 'SESSION_ENDED' });
  const code = '1';
  for (const { service } of [one, other]) {
    await expect(service.executeFollowed(ofKey, { userUuid, code }, gone)).rejects.toEqual(refused);
    await expect(service.createContext(ofKey, { userUuid })).rejects.toEqual(refused);
    await expect(service.makeDirectory(ofKey, userUuid, 'a')).rejects.toEqual(refused);
  }
  expect((await one.service.session(AUTH_TOKEN_HOLDER, userUuid))?.closedAt).not.toBeNull();
  // The caller with the token may open a session.
  await one.service.makeDirectory(AUTH_TOKEN_HOLDER, userUuid, 'a').catch(() => {});
  expect((await one.service.session(AUTH_TOKEN_HOLDER, userUuid))?.closedAt).toBeNull();
});

it.each<[string, (id: string, key: string) => Record<string, string>, number]>([
  ['without a key', (id) => ({ 'E2b-Sandbox-Id': id }), 401],
  [
    'with the token of the caller',
    (id) => ({ 'E2b-Sandbox-Id': id, 'X-Access-Token': 'a-token-for-tests' }),
    401,
  ],
  [
    'with the key of another sandbox',
    (_id, key) => ({ 'E2b-Sandbox-Id': newSandboxId(), 'X-Access-Token': key }),
    401,
  ],
  [
    'with the key in the header of the other server',
    (id, key) => ({ 'E2b-Sandbox-Id': id, 'E2B-Traffic-Access-Token': key }),
    401,
  ],
  [
    'for a port that nothing serves',
    (id, key) => ({ 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': '8080', 'X-Access-Token': key }),
    502,
  ],
  ['without a sandbox', (_id, key) => ({ 'X-Access-Token': key }), 400],
])('a call %s is refused', async (_what, headers, status) => {
  const { id, key } = await newSandbox();
  const answer = await ask(0, '/e2b/health', headers(id, key));
  expect([answer.status, JSON.parse(answer.body).code]).toEqual([status, status]);
  expect(answer.body).not.toContain(key);
});

it('the code server accepts the key in either header', async () => {
  const { id, key } = await newSandbox();
  const to = { 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': '49999' };
  for (const name of ['X-Access-Token', 'E2B-Traffic-Access-Token'])
    expect(await ask(1, '/e2b//health', { ...to, [name]: key })).toMatchObject({
      status: 200,
      body: '"OK"',
    });
});

it('a signature is accepted only with the key of an open sandbox, and wrong signatures are limited as wrong tokens are', async () => {
  await newSandbox();
  const { id, userUuid, key } = await newSandbox();
  const urlOf = (signature: string) =>
    `/files?${new URLSearchParams({ path: 'a.txt', signature })}`;
  const right = urlOf(
    signatureOf({ path: 'a.txt', operation: 'read', username: '', expiration: null, key }),
  );
  const address = addressOf();
  for (const at of [0, 1]) expect((await ask(at, right, {}, address)).status).not.toBe(401);
  for (let guess = 0; guess < GUESSES; guess += 1)
    expect((await ask(0, urlOf(`v1_${guess}`), {}, address)).status).toBe(401);
  const refused = await ask(0, urlOf('v1_next'), {}, address);
  expect([refused.status, Number(refused.retry)]).toEqual([429, expect.any(Number)]);
  // From the same address, the key and the right signature are still accepted.
  expect((await health(0, id, key, address)).status).toBe(204);
  expect((await ask(0, right, {}, address)).status).not.toBe(401);
  await one.service.release(AUTH_TOKEN_HOLDER, userUuid);
  await until('the signature is refused', async () =>
    [401, 429].includes((await ask(1, right, {})).status),
  );
});

it('wrong keys are limited by address', async () => {
  const { id, key } = await newSandbox();
  const address = addressOf();
  for (let guess = 0; guess < GUESSES; guess += 1)
    expect((await health(0, id, `${key}${guess}`, address)).status).toBe(401);
  expect((await health(0, id, `${key}x`, address)).status).toBe(429);
  expect((await health(0, id, key, addressOf())).status).toBe(204);
});

it('a watcher of a session is notified within a second when the session ends at another gateway', async () => {
  const { userUuid } = await newSandbox();
  const watched = await other.service.watchSession(AUTH_TOKEN_HOLDER, userUuid);
  const ended = new Promise<number>((resolve) => watched.onEnd(() => resolve(Date.now())));
  const taken = watched.onEnd(() => expect.unreachable('It was taken back.'));
  taken();
  expect(watched.hasEnded).toBe(false);
  const began = Date.now();
  await one.service.release(AUTH_TOKEN_HOLDER, userUuid);
  expect((await ended) - began).toBeLessThan(1_000);
  expect(watched.hasEnded).toBe(true);
});
