/** Every answer of E2B's API, at two gateways with programmed workers. */
import { describe, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const LONGEST_MS = 3_600_000;
const { start, userUuid, workers } = await useServiceGateways({
  DOORS: 'e2b',
  LONGEST_SESSION_LIFE_MS: String(LONGEST_MS),
  EGRESS_ALLOW: 'pypi.org,*.example.org',
  MAX_TOTAL_WORKERS: '60',
  MIN_IDLE_WORKERS: '0',
});
const one = await start();
const other = await start();
const origins = await Promise.all(
  [one, other].map(async ({ server }) => `http://127.0.0.1:${(await server.listen()).port}`),
);
const { service } = one;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it expects of it
  readonly body: any;
}

/** @param request `<method> <path>` */
async function ask(request: string, body?: unknown, { key = KEY, at = 0 } = {}): Promise<Answer> {
  const [method = '', path = ''] = request.split(' ');
  const response = await fetch(`${origins[at]}/e2b${path}`, {
    method,
    headers: { ...(key !== '' && { 'X-API-KEY': key }), 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : text,
  };
}

async function keyOf(name: string, more: object = {}): Promise<string> {
  const wanted = { name, role: 'TENANT' as const, door: 'e2b' as const, shape: 'e2b' as const };
  return (await service.createToken(OPERATOR, { ...wanted, ...more })).secret;
}
const KEY = await keyOf('the-key');

async function create(body: object = {}, options = {}): Promise<string> {
  const { status, body: made } = await ask(
    'POST /v2/sandboxes',
    { templateID: 'code-interpreter-v1', ...body },
    options,
  );
  expect([status, made]).toEqual([201, expect.objectContaining({ clientID: 'cellhouse' })]);
  return made.sandboxID;
}
const refusal = (code: number, message: string) => ({
  status: code,
  body: { code, message: expect.stringContaining(message) },
});
const NOT_THERE = `i${'0'.repeat(20)}`;

describe('create', () => {
  it.each(['/sandboxes', '/v2/sandboxes', '//v2//sandboxes'])(
    'answers at %s with all fields that the SDKs require',
    async (path) => {
      const { status, body } = await ask(`POST ${path}`, { templateID: 'base' });
      expect(status).toBe(201);
      expect(body).toEqual({
        ...{ templateID: 'code-interpreter-v1', clientID: 'cellhouse', envdVersion: '0.5.7' },
        sandboxID: expect.stringMatching(/^i[a-z0-9]{20}$/),
        envdAccessToken: expect.stringMatching(/./),
        trafficAccessToken: body.envdAccessToken,
        domain: null,
      });
    },
  );

  it('opens a session with the options, which ends only at the end of its life', async () => {
    const metadata = { a: 'b' };
    const id = await create({ metadata, envVars: { KEY: 'v' }, timeout: 60 });
    const { edges } = await service.sessions(OPERATOR, { metadata }, {});
    const session = edges[0]?.item;
    expect(session).toMatchObject({
      metadata,
      environmentVariableNames: ['E2B_SANDBOX', 'E2B_SANDBOX_ID', 'E2B_TEMPLATE_ID', 'KEY'],
      maxLifeMs: 60_000,
      idleTimeoutMs: LONGEST_MS,
      egressAllow: null,
      environment: null,
    });
    expect(session?.userUuid.endsWith(`:e2b:${id}`)).toBe(true);
  });

  it('narrows what a sandbox may reach', async () => {
    const network = { allowOut: ['pypi.org'], denyOut: ['0.0.0.0/0'] };
    const narrowed = await create({ network });
    expect((await ask(`GET /sandboxes/${narrowed}`)).body.network).toEqual(network);
    const cut = await create({ allow_internet_access: false });
    expect((await ask(`GET /sandboxes/${cut}`)).body).toMatchObject({
      network: { allowOut: [], denyOut: ['0.0.0.0/0'] },
      allowInternetAccess: false,
    });
  });

  it.each<[unknown, number, string]>([
    ['[]', 400, 'object'],
    ['{"a":', 400, 'JSON'],
    [{}, 400, 'templateID'],
    [{ templateID: 'nothing' }, 404, 'template "nothing" was not found'],
    [{ templateID: 'base', timeout: 3_601 }, 400, 'timeout is 3601 seconds'],
    [{ templateID: 'base', autoPause: true }, 400, 'autoPause'],
    [{ templateID: 'base', envVars: { '1A': '' } }, 400, 'envVars must have names'],
    [{ templateID: 'base', metadata: { '': 'x' } }, 400, 'metadata'],
    [
      { templateID: 'base', network: { allowOut: ['evil.com'], denyOut: ['0.0.0.0/0'] } },
      400,
      'network.allowOut names evil.com',
    ],
    [{ templateID: 'base', network: { denyOut: ['9.9.9.9'] } }, 400, 'network.denyOut'],
  ])('of %j is refused', async (body, code, message) => {
    expect(await ask('POST /v2/sandboxes', body)).toMatchObject(refusal(code, message));
  });

  it('is refused with a key for one user, with a wrong one, and with none', async () => {
    const single = await keyOf('single', { role: 'USER', userUuid: 'ann' });
    const body = { templateID: 'base' };
    expect(await ask('POST /v2/sandboxes', body, { key: single })).toMatchObject(
      refusal(403, 'one user'),
    );
    expect((await ask('GET /v2/sandboxes', undefined, { key: single })).body).toEqual([]);
    const wrong = { key: `e2b_${'0'.repeat(40)}` };
    expect(await ask('POST /v2/sandboxes', body, wrong)).toMatchObject(refusal(401, ''));
    expect(await ask('POST /v2/sandboxes', body, { key: '' })).toMatchObject(refusal(401, ''));
  });
});

it('keys for the users with the same prefix share their sandboxes', async () => {
  const users = { role: 'USER', userPrefix: 'team:' };
  const [key, same] = [await keyOf('team-1', users), await keyOf('team-2', users)];
  const id = await create({}, { key });
  expect((await ask(`GET /sandboxes/${id}`, undefined, { key: same, at: 1 })).status).toBe(200);
  const listed = (await ask('GET /v2/sandboxes', undefined, { key: same })).body;
  expect(listed).toMatchObject([{ sandboxID: id }]);
});

it('a key lists no sandboxes of a key whose prefix begins with its own', async () => {
  const outer = await keyOf('outer', { role: 'USER', userPrefix: 'x' });
  const inner = await keyOf('inner', { role: 'USER', userPrefix: 'x:e2b:y' });
  const id = await create({}, { key: inner });
  for (const path of ['/sandboxes', '/v2/sandboxes']) {
    expect((await ask(`GET ${path}`, undefined, { key: outer })).body).toEqual([]);
    expect((await ask(`GET ${path}`, undefined, { key: inner })).body).toMatchObject([
      { sandboxID: id },
    ]);
  }
});

it('without a free worker, nothing is created', async () => {
  const settings = { DOORS: 'e2b', MAX_TOTAL_WORKERS: '1', WORKER_WAIT_TIMEOUT_MS: '200' };
  await create();
  const full = await start({ settings: { ...settings, MIN_IDLE_WORKERS: '0' } });
  const { port } = await full.server.listen();
  const body = JSON.stringify({ templateID: 'base' });
  const headers = { 'X-API-KEY': KEY };
  const url = `http://127.0.0.1:${port}/e2b/v2/sandboxes`;
  const before = (await ask('GET /sandboxes')).body;
  const response = await fetch(url, { method: 'POST', headers, body });
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ code: 503 });
  expect((await ask('GET /sandboxes')).body).toEqual(before);
});

describe('a sandbox', () => {
  it('is described at every gateway', async () => {
    const before = Date.now();
    const id = await create({ metadata: { a: 'b' }, timeout: 60 });
    for (const at of [0, 1]) {
      const { status, body } = await ask(`GET /sandboxes/${id}`, undefined, { at });
      expect(status).toBe(200);
      expect(body).toEqual({
        ...{ templateID: 'code-interpreter-v1', sandboxID: id, clientID: 'cellhouse' },
        ...{ envdVersion: '0.5.7', envdAccessToken: expect.any(String), domain: null },
        ...{ startedAt: expect.any(String), endAt: expect.any(String), state: 'running' },
        ...{ cpuCount: 1, memoryMB: expect.any(Number), diskSizeMB: expect.any(Number) },
        ...{ metadata: { a: 'b' }, lifecycle: { onTimeout: 'kill', autoResume: false } },
      });
      expect(Date.parse(body.endAt) - Date.parse(body.startedAt)).toBe(60_000);
      expect(Date.parse(body.startedAt)).toBeGreaterThanOrEqual(before);
      expect(body.memoryMB).toBeGreaterThan(0);
    }
  });

  it('is killed once, and is then gone at every gateway', async () => {
    const id = await create();
    expect(await ask(`DELETE /sandboxes/${id}`, undefined, { at: 1 })).toMatchObject({
      status: 204,
      body: '',
    });
    for (const at of [0, 1])
      for (const request of everyRequest(id))
        expect(await ask(request, {}, { at })).toMatchObject(refusal(404, `"${id}" was not found`));
  });

  it('is not found with another key, nor under an id that never existed', async () => {
    const id = await create();
    const stranger = await keyOf('stranger');
    for (const request of everyRequest(id))
      expect(await ask(request, {}, { key: stranger })).toMatchObject(refusal(404, 'not found'));
    expect((await ask('GET /v2/sandboxes', undefined, { key: stranger })).body).toEqual([]);
    for (const never of [NOT_THERE, 'x', '..%2f', '%00'])
      for (const request of everyRequest(never))
        expect(await ask(request, {})).toMatchObject(refusal(404, 'not found'));
    expect((await ask(`GET /sandboxes/${id}`)).status).toBe(200);
  });

  it('is gone at every gateway when its time is over', async () => {
    const id = await create({ timeout: 1 });
    await until('its end at both', async () => {
      const asked = [0, 1].map((at) => ask(`GET /sandboxes/${id}`, undefined, { at }));
      return (await Promise.all(asked)).every(({ status }) => status === 404);
    });
    const { body } = await ask('GET /v2/sandboxes');
    expect(body.map((each: { sandboxID: string }) => each.sandboxID)).not.toContain(id);
    expect(await ask(`POST /v2/sandboxes/${id}/connect`, {})).toMatchObject(refusal(404, id));
  });
});

/** The requests that change a sandbox. */
function everyRequest(id: string): string[] {
  const below = ['connect', 'timeout', 'refreshes', 'pause', 'resume', 'snapshots', 'fork'];
  return [
    `DELETE /sandboxes/${id}`,
    ...below.map((what) => `POST /sandboxes/${id}/${what}`),
    `POST /v2/sandboxes/${id}/connect`,
    `PUT /sandboxes/${id}/network`,
  ];
}

describe('the end of a sandbox', () => {
  const endOf = async (id: string) =>
    Date.parse((await ask(`GET /sandboxes/${id}`)).body.endAt) - Date.now();

  it('moves either way with timeout', async () => {
    const id = await create({ timeout: 60 });
    expect((await ask(`POST /sandboxes/${id}/timeout`, { timeout: 600 }, { at: 1 })).status).toBe(
      204,
    );
    expect(await endOf(id)).toBeGreaterThan(590_000);
    expect((await ask(`POST /sandboxes/${id}/timeout`, { timeout: 100 })).status).toBe(204);
    expect(await endOf(id)).toBeLessThanOrEqual(100_000);
    for (const timeout of [-1, 1.5, null, 3_601])
      expect(await ask(`POST /sandboxes/${id}/timeout`, { timeout })).toMatchObject(
        refusal(400, 'timeout'),
      );
    // The sandbox has lived for some time, so 3,600 s from now would exceed its longest life.
    expect(await ask(`POST /sandboxes/${id}/timeout`, { timeout: 3_600 })).toMatchObject(
      refusal(400, 'timeout is too long: a sandbox may live 3600 seconds'),
    );
    expect((await ask(`POST /sandboxes/${id}/timeout`, { timeout: 0 })).status).toBe(204);
    expect((await ask(`GET /sandboxes/${id}`, undefined, { at: 1 })).status).toBe(404);
  });

  it.each(['/sandboxes', '/v2/sandboxes'])('only moves later with connect at %s', async (path) => {
    const made = await ask(`POST ${path}`, { templateID: 'base', timeout: 400 });
    const id = made.body.sandboxID;
    const before = (await ask(`GET /sandboxes/${id}`)).body.endAt;
    for (const body of ['', {}, { timeout: null }, { timeout: 10, memory: false }]) {
      const { status, body: connected } = await ask(`POST ${path}/${id}/connect`, body, { at: 1 });
      expect([status, connected]).toEqual([200, made.body]);
      expect((await ask(`GET /sandboxes/${id}`)).body.endAt).toBe(before);
    }
    expect((await ask(`POST ${path}/${id}/connect`, { timeout: 600 })).status).toBe(200);
    expect(await endOf(id)).toBeGreaterThan(590_000);
    // `connect` shortens a time that exceeds the longest life, because a client cannot know how much of it is left.
    expect((await ask(`POST ${path}/${id}/connect`, { timeout: 3_600 })).status).toBe(200);
    expect(await endOf(id)).toBeLessThanOrEqual(LONGEST_MS);
    expect(await ask(`POST ${path}/${id}/connect`, { timeout: 3_601 })).toMatchObject(
      refusal(400, 'timeout'),
    );
  });

  it('only moves later with refreshes', async () => {
    const id = await create({ timeout: 60 });
    expect((await ask(`POST /sandboxes/${id}/refreshes`, {})).status).toBe(204);
    expect(await endOf(id)).toBeGreaterThan(50_000);
    expect((await ask(`POST /sandboxes/${id}/refreshes`, { duration: 120 })).status).toBe(204);
    expect(await endOf(id)).toBeGreaterThan(110_000);
  });
});

describe('lists', () => {
  const idsOf = ({ body }: Answer) => body.map((each: { sandboxID: string }) => each.sandboxID);

  it('have exactly the living sandboxes of the key, page by page, in either order', async () => {
    const key = await keyOf('lister');
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1)
      ids.push(await create({ metadata: { n: `${n % 2}` } }, { key, at: n % 2 }));
    const [killed = '', ...living] = ids;
    expect((await ask(`DELETE /sandboxes/${killed}`, undefined, { key, at: 1 })).status).toBe(204);
    const all = async (query: string) => {
      const found: string[] = [];
      let next: string | null = '';
      for (let page = 0; next !== null; page += 1) {
        const path = `/v2/sandboxes?limit=3${query}${next && `&nextToken=${next}`}`;
        const answer = await ask(`GET ${path}`, undefined, { key, at: page % 2 });
        expect(answer.status).toBe(200);
        found.push(...idsOf(answer));
        next = answer.headers.get('x-next-token');
      }
      return found;
    };
    expect(await all('')).toEqual(living.toReversed());
    expect(await all('&order=asc')).toEqual(living);
    expect(await all('&state=running,paused')).toEqual(living.toReversed());
    expect(await all('&state=paused')).toEqual([]);
    expect(await all('&metadata=n%3D1&order=asc')).toEqual([ids[1], ids[3]]);
    expect(await all('&template=base&order=asc')).toEqual(living);
    expect(await all('&template=science')).toEqual([]);
    const { startedAt } = (await ask(`GET /sandboxes/${ids[3]}`, undefined, { key })).body;
    expect(await all(`&startedAfter=${startedAt}&order=asc`)).toEqual([ids[3], ids[4]]);
    expect(idsOf(await ask('GET /sandboxes', undefined, { key }))).toEqual(living.toReversed());
    expect(idsOf(await ask('GET /sandboxes?metadata=n%3D0', undefined, { key }))).toEqual([
      ids[4],
      ids[2],
    ]);
  });

  it('find metadata with odd characters', async () => {
    const metadata = { 'k 1': 'v&2=%', ключ: '✓ "quoted"', user: userUuid() };
    const id = await create({ metadata });
    const pairs = Object.entries(metadata).map((pair) => pair.map(encodeURIComponent));
    const query = new URLSearchParams({ metadata: String(new URLSearchParams(pairs)) });
    const { body } = await ask(`GET /v2/sandboxes?${query}`);
    expect(body).toEqual([
      {
        ...{ templateID: 'code-interpreter-v1', sandboxID: id, clientID: 'cellhouse' },
        ...{ envdVersion: '0.5.7', startedAt: expect.any(String), endAt: expect.any(String) },
        ...{ cpuCount: 1, memoryMB: expect.any(Number), diskSizeMB: expect.any(Number) },
        ...{ state: 'running', metadata },
      },
    ]);
  });

  it.each([
    ['limit=0', 'limit is 0'],
    ['limit=1001', 'limit is 1001'],
    ['nextToken=x', 'nextToken must be'],
    ['order=up', 'order'],
    ['state=gone', 'state'],
    ['startedAfter=soon', 'startedAfter'],
    ['metadata=a%3D%2525', 'metadata'],
  ])('with %s are refused', async (query, message) => {
    expect(await ask(`GET /v2/sandboxes?${query}`)).toMatchObject(refusal(400, message));
  });
});

describe('metrics', () => {
  const METRIC = {
    ...{ timestamp: expect.any(String), timestampUnix: expect.any(Number) },
    ...{ cpuCount: 1, cpuUsedPct: 0, memUsed: 50, memTotal: 100, memCache: 5 },
    ...{ diskUsed: 20, diskTotal: 40 },
  };

  it('are what the worker uses now, at every gateway', async () => {
    const id = await create();
    for (const at of [0, 1])
      expect((await ask(`GET /sandboxes/${id}/metrics`, undefined, { at })).body).toEqual([METRIC]);
    const now = Math.round(Date.now() / 1_000);
    const metrics = async (query: string) =>
      (await ask(`GET /sandboxes/${id}/metrics?${query}`)).body;
    expect(await metrics(`start=${now - 9}&end=${now + 9}`)).toEqual([METRIC]);
    expect(await metrics(`start=${now - 99}&end=${now - 50}`)).toEqual([]);
    expect(await metrics(`start=${now + 50}`)).toEqual([]);
    expect(await ask(`GET /sandboxes/${id}/metrics?start=then`)).toMatchObject(
      refusal(400, 'start'),
    );
    expect(await ask(`GET /sandboxes/${NOT_THERE}/metrics`)).toMatchObject(refusal(404, NOT_THERE));
  });

  it('of several sandboxes leave out those that have ended or do not answer', async () => {
    const id = await create();
    const { body } = await ask(`GET /sandboxes/metrics?sandbox_ids=${id},${NOT_THERE}`);
    expect(body).toEqual({ sandboxes: { [id]: METRIC } });
    const silent = await create({ metadata: { silent: userUuid() } });
    const found = await service.sessions(OPERATOR, { metadata: { silent: userUuid() } }, {});
    const workerId = found.edges[0]?.item.workerId ?? '';
    workers.frozen.push(workerId);
    const both = await ask(`GET /sandboxes/metrics?sandbox_ids=${silent},${id}`);
    expect(both.body).toEqual({ sandboxes: { [id]: METRIC } });
    expect(await ask(`GET /sandboxes/${silent}/metrics`)).toMatchObject(refusal(503, 'worker'));
    workers.frozen.pop();
    expect(await ask('GET /sandboxes/metrics')).toMatchObject(refusal(400, 'sandbox_ids'));
  });
});

describe('what Cellhouse does not implement', () => {
  it('is refused for a living sandbox', async () => {
    const id = await create();
    for (const what of ['pause', 'resume', 'snapshots', 'fork'])
      expect(await ask(`POST /sandboxes/${id}/${what}`, {})).toMatchObject(refusal(501, '.'));
    expect(await ask(`GET /v2/sandboxes/${id}/logs`)).toMatchObject(refusal(501, 'logs'));
    expect(await ask(`PUT /sandboxes/${id}/network`, {})).toMatchObject(refusal(400, 'network'));
    expect((await ask(`GET /sandboxes/${id}`)).status).toBe(200);
  });

  it.each([
    'GET /snapshots?limit=7',
    'DELETE /templates/x',
    'POST /v3/templates',
    'GET /templates/aliases/x',
    'GET /volumes',
    'POST /volumes',
    'GET /secrets',
    'GET /teams',
  ])('%s is 501', async (request) => {
    const body = request.startsWith('GET') ? undefined : {};
    expect(await ask(request, body)).toMatchObject(refusal(501, '.'));
  });

  it('other paths are 404, and other methods 405', async () => {
    expect(await ask('GET /nothing')).toMatchObject(refusal(404, 'GET /nothing'));
    const { status, headers, body } = await ask('PUT /v2/sandboxes', {});
    expect([status, headers.get('allow'), body.code]).toEqual([405, 'GET, POST', 405]);
  });
});
