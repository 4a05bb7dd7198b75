/** Tokens at two gateways of one database: whom each lets in, and until when. The workers are programmed. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { programVersion } from '../../src/process/programVersion.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const AUTH_TOKEN = 'a-token-for-tests';
const VIEWER = '{ viewer { tenant } }';
const NOBODY = '00000000-0000-4000-8000-000000000000';

const { db, start, userUuid } = await useServiceGateways({
  MAX_TOKENS: '20',
  // All failures of these tests come from one address, so they share one limit.
  AUTH_FAILURES_PER_MINUTE: '10000',
});
const [one, other] = [await start(), await start()];
const origins = await Promise.all(
  [one, other].map(async ({ server }) => `http://127.0.0.1:${(await server.listen()).port}`),
);

interface Answer {
  readonly status: number;
  readonly data?: unknown;
  readonly errors?: readonly { readonly message: string; readonly extensions: unknown }[];
}

async function ask(origin: string, token: string, query = VIEWER): Promise<Answer> {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

const statuses = (token: string) =>
  Promise.all(origins.map(async (origin) => (await ask(origin, token)).status));

const create = (more: Partial<Parameters<typeof one.service.createToken>[1]> = {}) =>
  one.service.createToken(OPERATOR, { name: 'a', role: 'TENANT', tenant: 'blue', ...more });

describe('a token', () => {
  it('that one gateway has made lets its holder in at the other at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { secret } = await create();
      expect(await statuses(secret)).toEqual([200, 200]);
      expect(await ask(origins[1] ?? '', secret)).toMatchObject({
        data: { viewer: { tenant: 'blue' } },
      });
    }
  });

  it('is in the database only as its hash, and a wrong token lets nobody in', async () => {
    const { secret, token } = await create();
    expect(secret).toMatch(/^ch_[A-Za-z0-9_-]{43}$/);
    const rows = await db.sql`SELECT 1 FROM tokens t, events e
      WHERE t::text || e.data::text LIKE ${`%${secret.slice(3)}%`}`;
    expect(rows).toHaveLength(0);
    const wrong = `${secret.slice(0, -4)}AAAA`;
    for (const each of [wrong, token.id, token.secretSha256, '', 'ch_'])
      expect(await statuses(each)).toEqual([401, 401]);
  });

  it('that is revoked at one gateway lets nobody in at either', async () => {
    const { secret, token } = await create();
    expect(await statuses(secret)).toEqual([200, 200]);
    const revoked = await other.service.revokeToken(OPERATOR, token.id);
    expect(revoked.revokedAt).toBeInstanceOf(Date);
    await until('the revocation', async () => (await statuses(secret)).every((s) => s === 401));
    expect(await other.service.revokeToken(OPERATOR, token.id)).toEqual(revoked);
    await expect(one.service.rotateToken(OPERATOR, token.id, 0)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });

  it('that is rotated has a new secret, and keeps the former one for the requested time', async () => {
    const { secret: first, token } = await create();
    // Longer than a few calls take on a busy machine.
    const validMs = 4_000;
    const { secret: second } = await one.service.rotateToken(OPERATOR, token.id, validMs);
    const rotatedAt = Date.now();
    expect(second).not.toBe(first);
    expect(await statuses(second)).toEqual([200, 200]);
    expect(await statuses(first)).toEqual([200, 200]);
    await until('the end of the former secret', async () =>
      (await statuses(first)).every((status) => status === 401),
    );
    expect(Date.now() - rotatedAt).toBeGreaterThan(validMs - 100);
    expect(await statuses(second)).toEqual([200, 200]);
    const { secret: third } = await one.service.rotateToken(OPERATOR, token.id, 0);
    await until('the end of the second secret', async () =>
      (await statuses(second)).every((status) => status === 401),
    );
    expect(await statuses(third)).toEqual([200, 200]);
  });

  it('lets nobody in when it has expired', async () => {
    const { secret } = await create({ expiresAt: new Date(Date.now() + 1_000) });
    expect(await statuses(secret)).toEqual([200, 200]);
    await until('the expiry', async () => (await statuses(secret)).every((s) => s === 401));
  });

  it('that is unknown is neither rotated nor revoked', async () => {
    const changes = [
      () => one.service.rotateToken(OPERATOR, NOBODY, 0),
      () => one.service.revokeToken(OPERATOR, 'no id'),
    ];
    for (const change of changes)
      await expect(change()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('for one wire is FORBIDDEN on the other', async () => {
    const [{ secret: files }, { secret: graphql }] = [
      await create({ door: 'files' }),
      await create({ door: 'graphql' }),
    ];
    const get = (token: string) =>
      fetch(`${origins[1]}/files/${userUuid()}/a.txt`, { headers: { 'X-Auth-Token': token } });
    expect(await ask(origins[0] ?? '', files)).toMatchObject({
      status: 403,
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    });
    expect((await ask(origins[0] ?? '', graphql)).status).toBe(200);
    expect((await get(graphql)).status).toBe(403);
    expect((await get(files)).status).not.toBe(403);
  });

  it('of a tenant shows neither the pool at a time nor the metrics of the installation', async () => {
    const { secret } = await create();
    const at = new Date().toISOString();
    const answer = await ask(origins[0] ?? '', secret, `{ poolAt(at: "${at}") { busyWorkers } }`);
    expect(answer).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
    const metrics = (token: string) =>
      fetch(`${origins[0]}/metrics`, { headers: { 'X-Auth-Token': token } });
    expect(await (await metrics(secret)).text()).not.toContain('cellhouse_workers');
    expect(await (await metrics(AUTH_TOKEN)).text()).toContain('cellhouse_workers');
  });
});

it('a token is the actor of what its holder causes, in events and in the audit views', async () => {
  const user = userUuid();
  const { secret, token } = await create({ role: 'USER', userUuid: user });
  const actor = { token: token.id, role: 'USER', tenant: 'blue', door: 'graphql' };
  const input = `input: { userUuid: "${user}"`;
  for (const call of [
    `execute(${input}, code: "1" }) { status }`,
    `createContext(${input} }) { id }`,
    `release(${input} }) { released }`,
  ])
    expect((await ask(origins[1] ?? '', secret, `mutation { ${call} }`)).errors).toBeUndefined();
  const events = await db.sql<{ type: string; actor: unknown }[]>`
    SELECT type, metadata -> 'actor' AS actor FROM events
    WHERE stream_id IN (SELECT unnest(ARRAY['session-' || s.id, 'worker-' || s.worker_id, 'execution-' || x.id, 'context-' || c.id])
      FROM sessions s JOIN executions x ON x.session_id = s.id JOIN contexts c ON c.session_id = s.id
      WHERE s.user_uuid = ${user})`;
  const causedBy = (who: unknown) =>
    events.filter((each) => JSON.stringify(each.actor) === JSON.stringify(who)).map((e) => e.type);
  const sorted = { door: 'graphql', role: 'USER', token: token.id, tenant: 'blue' };
  expect(new Set(causedBy(sorted))).toEqual(
    new Set([
      ...['SessionOpened', 'WorkerAssigned', 'ExecutionRequested', 'ContextCreated'],
      ...['WorkerRetired', 'SessionClosed', 'ContextEnded'],
    ]),
  );
  expect(causedBy(null)).toContain('ExecutionFinished');
  for (const view of ['executions', 'sessions', 'contexts'])
    expect([
      ...(await db.sql`SELECT actor_token AS token, actor_role AS role, actor_tenant AS tenant, actor_door AS door
        FROM ${db.sql(`audit.${view}`)} WHERE user_uuid = ${user}`),
    ]).toEqual([actor]);
  const [session] =
    await db.sql`SELECT session_id AS id FROM audit.sessions WHERE user_uuid = ${user}`;
  const shown = { ...actor, door: 'GRAPHQL' };
  const query = `{ session(id: "${session?.id}") { events { edges { node { actor { token role tenant door } } } } } }`;
  expect(await ask(origins[0] ?? '', AUTH_TOKEN, query)).toMatchObject({
    data: {
      session: { events: { edges: [{ node: { actor: shown } }, { node: { actor: shown } }] } },
    },
  });
  expect([
    ...(await db.sql`SELECT actor_token, actor_tenant FROM audit.tokens WHERE token_id = ${token.id}`),
  ]).toEqual([{ actorToken: 'auth-token', actorTenant: 'default' }]);
});

it('the actor of a call with AUTH_TOKEN has no token in GraphQL', async () => {
  const call = `mutation { execute(input: { userUuid: "${userUuid()}", code: "1" }) {
    events { edges { node { type actor { token role door } } } } } }`;
  expect(await ask(origins[0] ?? '', AUTH_TOKEN, call)).toMatchObject({
    data: {
      execute: {
        events: {
          edges: expect.arrayContaining([
            {
              node: {
                type: 'ExecutionRequested',
                actor: { token: null, role: 'OPERATOR', door: 'GRAPHQL' },
              },
            },
          ]),
        },
      },
    },
  });
});

it('changedTokens() finds the tokens that have changed since a position, and no others', async () => {
  const database = await db.open();
  const [{ token }] = [await create(), await create()];
  const { position } = await database.tokenReads.validTokens();
  expect(await database.tokenReads.changedTokens(position)).toEqual({ tokens: [], position });
  await one.service.execute(OPERATOR, { userUuid: userUuid(), code: '1' });
  await one.service.revokeToken(OPERATOR, token.id);
  const changed = await database.tokenReads.changedTokens(position);
  expect(changed?.tokens).toMatchObject([{ id: token.id, revokedAt: expect.any(Date) }]);
  expect(changed?.position).toBeGreaterThan(position);
  // Null: more events have happened since than are searched, so the caller must read all tokens.
  expect(await database.tokenReads.changedTokens(position - 20_000)).toBeNull();
});

it('the hash of a secret is in the events that an operator sees, and in no others', async () => {
  await create({ tenant: 'hashes' });
  const types = ['TokenCreated'];
  const dataFor = async (role: 'OPERATOR' | 'TENANT' | 'AUDITOR') => {
    const { edges } = await one.service.events(
      { ...OPERATOR, role, tenant: 'hashes' },
      { types },
      { first: 1_000 },
    );
    const datas = edges.map(({ item }) => item.event.data as { tenant?: string });
    return datas.filter(({ tenant }) => tenant === 'hashes');
  };
  expect(await dataFor('OPERATOR')).toMatchObject([{ secretSha256: expect.any(String) }]);
  for (const role of ['TENANT', 'AUDITOR'] as const) {
    const [data, ...more] = await dataFor(role);
    expect(data).toMatchObject({ name: 'a', role: 'TENANT' });
    expect(data).not.toHaveProperty('secretSha256');
    expect(more).toEqual([]);
  }
});

it.each(['OPERATOR', 'TENANT', 'USER', 'AUDITOR'] as const)(
  'a token of the role %s may ask for the version of the gateway, but nobody without one',
  async (role) => {
    const user = role === 'USER' ? { userUuid: 'ann' } : {};
    const { secret, token } = await create({ name: `version-${role}`, role, ...user });
    const [origin = ''] = origins;
    const { data } = await ask(origin, secret, '{ version }');
    expect(data).toEqual({ version: programVersion() });
    expect(await ask(origin, 'wrong', '{ version }')).toMatchObject({ status: 401 });
    await one.service.revokeToken(OPERATOR, token.id);
  },
);

it('a token tells its holder who they are, and operators when it was last used, to the minute', async () => {
  const { secret, token } = await create({ name: 'used' });
  expect(token.lastUsedAt).toBeNull();
  const third = await start();
  const origin = `http://127.0.0.1:${(await third.server.listen()).port}`;
  const since = Date.now() - 60_000;
  const query = '{ me { id name role } viewer { role } }';
  expect(await ask(origin, secret, query)).toMatchObject({
    data: { me: { id: token.id, name: 'used', role: 'TENANT' }, viewer: { role: 'TENANT' } },
  });
  expect(await ask(origin, AUTH_TOKEN, query)).toMatchObject({
    data: { me: null, viewer: { role: 'OPERATOR' } },
  });
  await third.close();
  const used = (await one.service.tokens(OPERATOR)).find(({ id }) => id === token.id);
  const at = used?.lastUsedAt?.getTime() ?? 0;
  expect(at % 60_000).toBe(0);
  expect(at).toBeGreaterThan(since);
});

it('there are at most MAX_TOKENS valid tokens', async () => {
  const all = await one.service.tokens(OPERATOR);
  onTestFinished(async () => {
    await db.sql`UPDATE tokens SET revoked_at = clock_timestamp()`;
  });
  const valid = all.filter(
    ({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt ?? new Date()) >= new Date(),
  );
  expect(valid.length).toBeGreaterThan(0);
  let last = await create({ name: 'first' });
  for (let count = valid.length + 1; count < 20; count += 1) last = await create();
  await expect(create()).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', details: { limit: 20 } });
  await one.service.revokeToken(OPERATOR, last.token.id);
  await create({ name: 'another' });
  await expect(create()).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
});
