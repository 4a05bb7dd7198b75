/** E2B's API at two real gateways with real workers, called with plain HTTP requests. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { until } from '../../testkit/until.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

/** Each gateway notices the end of a sandbox within a second; this test polls, so it may notice later. */
const SEEN_WITHIN_MS = 1_500;
const SANDBOXES = 4;

let installation: TestInstallation;
let gateways: readonly [TestGateway, TestGateway];
beforeAll(async () => {
  installation = await createInstallation({ DOORS: 'e2b', MAX_TOTAL_WORKERS: '8' });
  gateways = [await installation.start(), await installation.start()];
});
afterAll(() => installation.destroy());

interface Sandbox {
  readonly sandboxID: string;
  readonly envdAccessToken: string;
}

async function ask(request: string, { at = 0, key = '', body = undefined as unknown } = {}) {
  const [method = '', path = ''] = request.split(' ');
  const { url, token } = gateways[at] ?? gateways[0];
  return await fetch(`${url}/e2b${path}`, {
    method,
    headers: { 'X-API-KEY': key || token, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function create(at = 0, more = {}): Promise<Sandbox> {
  const body = { templateID: 'code-interpreter-v1', ...more };
  const response = await ask('POST /v2/sandboxes', { at, body });
  expect(response.status).toBe(201);
  return (await response.json()) as Sandbox;
}

async function listed(at: number, key = ''): Promise<string[]> {
  const response = await ask('GET /v2/sandboxes?order=asc', { at, key });
  return ((await response.json()) as Sandbox[]).map(({ sandboxID }) => sandboxID);
}

/** The status that the data plane answers to a health check of the sandbox. */
async function health({ sandboxID, envdAccessToken }: Sandbox, at: number): Promise<number> {
  const { url } = gateways[at] ?? gateways[0];
  const headers = {
    'E2b-Sandbox-Id': sandboxID,
    'E2b-Sandbox-Port': '49983',
    'X-Access-Token': envdAccessToken,
  };
  return (await fetch(`${url}/e2b/health`, { headers })).status;
}

it('each gateway lists exactly the living sandboxes of a key, and knows no other key', async () => {
  const made = await Promise.all(
    Array.from({ length: SANDBOXES }, (_, index) => create(index % 2)),
  );
  const ids = made.map(({ sandboxID }) => sandboxID);
  for (const at of [0, 1]) expect((await listed(at)).toSorted()).toEqual(ids.toSorted());
  const { data } = await gateways[0].graphql<{ createToken: { secret: string } }>(
    'mutation { createToken(input: { name: "stranger", role: TENANT, door: E2B }) { secret } }',
  );
  const stranger = data?.createToken.secret ?? '';
  for (const at of [0, 1]) {
    expect(await listed(at, stranger)).toEqual([]);
    const { status } = await ask(`DELETE /sandboxes/${ids[0]}`, { at, key: stranger });
    expect(status).toBe(404);
  }
  const [killed, ...living] = made;
  if (killed === undefined) throw new Error('Nothing was made.');
  expect((await ask(`DELETE /sandboxes/${killed.sandboxID}`, { at: 1 })).status).toBe(204);
  for (const at of [0, 1]) {
    expect(await health(killed, at)).toBe(502);
    expect((await listed(at)).toSorted()).toEqual(
      living.map(({ sandboxID }) => sandboxID).toSorted(),
    );
  }
  for (const { sandboxID } of living) await ask(`DELETE /sandboxes/${sandboxID}`);
});

it('a sandbox is gone at every gateway within a second of its end', async () => {
  const sandbox = await create(0, { timeout: 2 });
  const { endAt } = (await (
    await ask(`GET /sandboxes/${sandbox.sandboxID}`, { at: 1 })
  ).json()) as {
    readonly endAt: string;
  };
  for (const at of [0, 1]) expect(await health(sandbox, at)).toBe(204);
  const gone = async () => {
    const statuses = await Promise.all([health(sandbox, 0), health(sandbox, 1)]);
    return statuses.every((status) => status === 502);
  };
  await until('the end at both gateways', gone);
  expect(Date.now() - Date.parse(endAt)).toBeGreaterThanOrEqual(0);
  expect(Date.now() - Date.parse(endAt)).toBeLessThan(SEEN_WITHIN_MS);
  for (const at of [0, 1])
    expect((await ask(`GET /sandboxes/${sandbox.sandboxID}`, { at })).status).toBe(404);
});

it('the metrics of a sandbox are those of its worker', async () => {
  const { sandboxID } = await create(0);
  const response = await ask(`GET /sandboxes/${sandboxID}/metrics`, { at: 1 });
  const [metric] = (await response.json()) as Record<string, number>[];
  expect(metric?.memUsed).toBeGreaterThan(1_000_000);
  expect(metric?.memUsed).toBeLessThan(metric?.memTotal ?? 0);
  expect(metric?.diskUsed).toBeLessThan(metric?.diskTotal ?? 0);
  expect(metric?.cpuUsedPct).toBeGreaterThanOrEqual(0);
  await ask(`DELETE /sandboxes/${sandboxID}`);
});
