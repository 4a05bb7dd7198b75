/** Code over MCP that runs longer than the official clients wait: 60 s, unless their host says otherwise. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { type ClientKind, MCP_CLIENTS, STDIO_CLIENT } from '../support/mcpClients.ts';

const CLIENT_LIMIT_MS = 60_000;
const RUNS_MS = 70_000;
const LIMIT_MS = 150_000;
const CODE = `import time
print('begun', flush=True)
time.sleep(${RUNS_MS / 1_000})
print('done')`;
/** The clients that have this limit by default, and a client that reaches the gateway through `cellhouse mcp`. */
const OFFICIAL = [...MCP_CLIENTS.slice(0, 3), STDIO_CLIENT];

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.destroy());

it(
  "Before the client's limit, a call answers that the code still runs; get_execution gives the result",
  async () => {
    await Promise.all(OFFICIAL.map(waitFor));
  },
  LIMIT_MS,
);

async function waitFor({ name, connect }: ClientKind): Promise<void> {
  const client = await connect(`${gateway.url}/mcp`, { Authorization: `Bearer ${gateway.token}` });
  const begun = performance.now();
  const first = await client.call('execute_code', { code: CODE, timeout_seconds: 120 });
  expect(performance.now() - begun, name).toBeLessThan(CLIENT_LIMIT_MS);
  expect(first, name).toMatchObject({
    isError: false,
    data: { status: 'running', stdout: 'begun\n' },
  });
  const { execution_id, next_seq } = first.data ?? {};
  const rest = await client.call('get_execution', { execution_id, after_seq: next_seq });
  expect(performance.now() - begun, name).toBeGreaterThan(RUNS_MS);
  expect(rest, name).toMatchObject({
    isError: false,
    data: { execution_id, status: 'ok', stdout: 'done\n' },
  });
  await client.close();
}
