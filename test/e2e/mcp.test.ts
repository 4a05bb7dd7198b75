/** The door for MCP, called by the client libraries that hosts use, at two real gateways with real workers. */
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import { gateway, other, useTwoRealGateways } from '../support/installation.ts';
import {
  type ConnectedClient,
  MCP_CLIENTS,
  STDIO_CLIENT,
  type ToolAnswer,
} from '../support/mcpClients.ts';

useTwoRealGateways();

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
const INSPECTOR = new URL(
  '../../node_modules/@modelcontextprotocol/inspector-cli/build/cli.js',
  import.meta.url,
).pathname;
/** A PNG begins with this, in base64. */
const PNG = /^iVBORw0KGgo/;

async function connected(
  { connect }: (typeof MCP_CLIENTS)[number],
  at = gateway,
): Promise<ConnectedClient> {
  return await connect(`${at.url}/mcp`, { Authorization: `Bearer ${at.token}` });
}

/** A value in the last line of a result's text, which every client passes on. */
function told({ text }: ToolAnswer, name: string): string {
  return new RegExp(` ${name}=(\\S+)`).exec(` ${text.split('\n').at(-1)}`)?.[1] ?? '';
}

async function statusOf(executionId: string): Promise<string | undefined> {
  const { data } = await other.graphql<{ execution: { status: string } | null }>(
    `{ execution(id: "${executionId}") { status } }`,
  );
  return data?.execution?.status;
}

describe.each(MCP_CLIENTS)('$name', (kind) => {
  it('keeps variables over calls that pass the session_id, shows figures, and says what went wrong', async () => {
    const client = await connected(kind);
    const first = await client.call('execute_code', { code: 'x = 6\nprint("six")' });
    expect(first).toMatchObject({ isError: false, images: [] });
    expect(first.text).toMatch(/^six\n/);
    const session_id = told(first, 'session_id');
    const second = await client.call('execute_code', {
      code: 'import matplotlib.pyplot as plt\nplt.plot([1, x])\nplt.show()\nx * 7',
      session_id,
    });
    expect(second.text).toMatch(/^42\n/);
    expect(second.images).toMatchObject([
      { mimeType: 'image/png', data: expect.stringMatching(PNG) },
    ]);
    const failed = await client.call('run_command', { command: 'echo 1 > a; cat a b', session_id });
    expect(failed.text).toMatch(/^1\nstderr:\ncat: b: No such file/);
    expect(told(failed, 'exit_code')).toBe('1');
    await client.close();
  });

  it('writes, lists and reads files that code finds', async () => {
    const client = await connected(kind);
    const written = await client.call('write_file', {
      path: 'in/b.txt',
      content: 'é'.repeat(16_000),
    });
    const { session_id } = JSON.parse(written.text) as { session_id: string };
    const first = await client.call('read_file', { path: 'in/b.txt', session_id });
    expect(first.text).toBe(`${'é'.repeat(15_000)}\n[2000 bytes follow: offset=30000]`);
    const rest = await client.call('read_file', { path: 'in/b.txt', session_id, offset: 30_000 });
    expect(rest.text).toBe('é'.repeat(1_000));
    const code =
      'from PIL import Image\nImage.new("RGB", (2, 2)).save("p.png")\nopen("in/b.txt").read(1)';
    expect((await client.call('execute_code', { code, session_id })).text).toMatch(/^'é'\n/);
    const shown = await client.call('read_file', { path: 'p.png', session_id });
    expect(shown.images).toMatchObject([
      { mimeType: 'image/png', data: expect.stringMatching(PNG) },
    ]);
    const listed = await client.call('list_files', { session_id, depth: 2 });
    expect(listed.text).toMatch(/"in\/b\.txt".*"p\.png"/s);
    await client.call('release_session', { session_id });
    await client.close();
  });

  it('cancels a call, which interrupts the code', async () => {
    const client = await connected(kind);
    const cancel = new AbortController();
    const session_id = `cancels ${kind.name}`;
    const code = 'import time\nprint("begun", flush=True)\ntime.sleep(60)';
    const call = client.call('execute_code', { code, session_id }, { signal: cancel.signal });
    const cancelled = expect(call).rejects.toThrow();
    const running = await until('the code to run', async () => await runningOf(session_id));
    cancel.abort();
    await cancelled;
    await until('its end', async () => (await statusOf(running)) === 'INTERRUPTED');
    await client.close();
  });
});

// One kind of client is enough: the calls by which clients poll are the same for all.
describe.each(MCP_CLIENTS.slice(0, 1))('$name', (kind) => {
  it('gets the rest of the output from another gateway after the gateway that it called was killed', async () => {
    const client = await connected(kind);
    const begun = await client.call('execute_code', {
      code: 'import time\nprint("begun", flush=True)\ntime.sleep(4)\nprint("done")',
      wait_seconds: 1,
    });
    expect(begun).toMatchObject({ isError: false });
    expect(told(begun, 'status')).toMatch(/^(queued|running)$/);
    await client.close().catch(() => undefined);
    const overStdio = await connected(STDIO_CLIENT);
    await gateway.kill('SIGKILL');
    try {
      const elsewhere = await connected(kind, other);
      const ended = await elsewhere.call('get_execution', {
        execution_id: told(begun, 'execution_id'),
      });
      expect(ended.text).toMatch(/^begun\ndone\n/);
      expect(told(ended, 'status')).toBe('ok');
      expect(told(ended, 'session_id')).toBe(told(begun, 'session_id'));
      await elsewhere.close();
    } finally {
      await gateway.restart();
    }
    const execution_id = told(begun, 'execution_id');
    const asked = await overStdio.call('get_execution', { execution_id });
    expect(told(asked, 'status'), 'over stdio, after the restart').toBe('ok');
    await overStdio.close();
  });
});

describe('@modelcontextprotocol/inspector-cli', () => {
  it('lists tools over stdio, and finds the variables of one call in the next', async () => {
    const { tools } = await inspected('tools/list');
    expect(tools?.map(({ name }) => name)).toContain('execute_code');
    const call = ['--tool-name', 'execute_code', '--tool-arg', 'session_id=inspected'];
    await inspected('tools/call', ...call, 'code=kept = 6');
    const { structuredContent } = await inspected('tools/call', ...call, 'code=kept * 7');
    expect(structuredContent).toMatchObject({ session_id: 'inspected', result: '42' });
  });
});

interface Inspected {
  readonly tools?: readonly { readonly name: string }[];
  readonly structuredContent?: object;
}

/** Runs the inspector, which starts `cellhouse mcp`, and parses its output. Notes on stderr are not a failure. */
async function inspected(method: string, ...options: readonly string[]): Promise<Inspected> {
  const args = [INSPECTOR, '--cli', process.execPath, CLI, 'mcp', '--method', method, ...options];
  const env = { ...process.env, CELLHOUSE_URL: gateway.url, CELLHOUSE_TOKEN: gateway.token };
  // The inspector looks for its package.json in the folder above its working directory.
  const cwd = dirname(INSPECTOR);
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, cwd });
  return JSON.parse(stdout) as Inspected;
}

async function runningOf(session: string): Promise<string | undefined> {
  const { data } = await other.graphql<{ executions: { edges: { node: { id: string } }[] } }>(
    `{ executions(userUuid: "auth-token:mcp:${session}", statuses: [RUNNING]) { edges { node { id } } } }`,
  );
  return data?.executions.edges[0]?.node.id;
}
