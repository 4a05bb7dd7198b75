/**
 * The bridge of `cellhouse mcp`, without its process, on the real HTTP stack. The host is the official client, or a
 * test that writes lines.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import {
  Client,
  InMemoryTransport,
  StreamableHTTPClientTransport,
  type Transport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { bridge } from '../../src/cli/mcp.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createMcpDoor } from '../../src/doors/mcp/mcpDoor.ts';
import { createServerMaker } from '../../src/doors/mcp/mcpHandler.ts';
import { newId } from '../../src/process/newId.ts';
import { createGate } from '../support/gate.ts';
import { addFixtures } from '../support/mcpConformance/fixtures.ts';
import { memoryService } from '../support/memoryService.ts';
import { queuedExecution } from '../support/states.ts';
import { secretOf, tokensFor } from '../support/testDoor.ts';
import { startTransport } from '../support/transportServer.ts';

const ERAS: readonly VersionNegotiationMode[] = ['legacy', { pin: '2026-07-28' }, 'auto'];

/** A gateway without workers. @param port by default any that is free */
async function startGateway(parts: Parameters<typeof memoryService>[0] = {}, port = 0) {
  const deps = {
    settings: loadConfig({ SOCKET_DIR: '/run/x' }),
    logger: pino({ level: 'silent' }),
    newId,
    newErrorId: newId,
    now: () => new Date(),
  };
  const makeServer = createServerMaker(deps.settings);
  const door = createMcpDoor(deps, (call) => {
    const server = makeServer(call);
    addFixtures(server);
    return server;
  });
  const { tokenCache } = tokensFor({ mine: 'mcp' });
  return await startTransport(memoryService(parts), {
    doors: [door],
    tokenCache,
    config: { port },
  });
}

/** A bridge between `host` and the server at `port`. */
function startBridge(host: Transport, port: number, token = secretOf('mine')) {
  const said: string[] = [];
  const gateway = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  const ended = bridge({ host, gateway, say: (line) => void said.push(line) });
  return { said, ended };
}

/** The official client as a host. */
async function connected(port: number, mode: VersionNegotiationMode): Promise<Client> {
  const [mine, its] = InMemoryTransport.createLinkedPair();
  const { ended } = startBridge(its, port);
  const client = new Client({ name: 'tests', version: '1' }, { versionNegotiation: { mode } });
  onTestFinished(async () => {
    await client.close();
    await ended;
  });
  await client.connect(mine);
  return client;
}

/** A host that writes lines. */
function lines(port: number, token?: string) {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  let printed = '';
  stdout.on('data', (data) => {
    printed += String(data);
  });
  const { said, ended } = startBridge(new StdioServerTransport(stdin, stdout), port, token);
  return {
    said,
    ended,
    end: () => stdin.end(),
    /** The answers to a request. */
    ask: async (message: object) => {
      printed = '';
      const answered = once(stdout, 'data');
      stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
      await answered;
      return printed
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
    },
    write: (line: string) => void stdin.write(line),
  };
}

it.each(ERAS)('A client of the era %j lists tools, calls them, and gets progress', async (mode) => {
  const { port } = await startGateway();
  const client = await connected(port, mode);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('execute_code');
  const progress: (string | undefined)[] = [];
  const { content } = await client.callTool(
    { name: 'test_tool_with_progress', arguments: {} },
    { onprogress: ({ message }) => void progress.push(message) },
  );
  expect(content).toMatchObject([{ type: 'text' }]);
  expect(progress).toEqual(['Step 0', 'Step 50', 'Step 100']);
});

it.each(ERAS)(
  'If a client of the era %j cancels a call, the execution of that call is interrupted, and no other',
  async (mode) => {
    const started: string[] = [];
    const interrupted: string[] = [];
    const running = queuedExecution();
    const { port } = await startGateway({
      executeUntil: async (_, { code }, { until }) => {
        started.push(code);
        if (code === 'long') await once(until, 'abort');
        return running;
      },
      interrupt: async (_, id) => {
        interrupted.push(id);
        return running;
      },
      outputPage: async () => ({ items: [], isEnd: true }),
    });
    const client = await connected(port, mode);
    const cancel = new AbortController();
    const call = (code: string, signal?: AbortSignal) =>
      client.callTool({ name: 'execute_code', arguments: { code } }, signal && { signal });
    const long = expect(call('long', cancel.signal)).rejects.toThrow();
    await expect.poll(() => started).toEqual(['long']);
    await call('short');
    expect(interrupted).toEqual([]);
    cancel.abort();
    await long;
    await expect.poll(() => interrupted).toEqual([running.id]);
  },
);

it('The bridge survives a restart of the gateway between two calls, and a call in between fails with a message', async () => {
  const first = await startGateway();
  const client = await connected(first.port, 'legacy');
  await client.ping();
  await first.server.close(AbortSignal.abort());
  // Connections that were kept may end only when they are used.
  const failed = () => client.ping().then(() => 'answered', String);
  await expect.poll(failed).toContain('The gateway cannot be reached (ECONNREFUSED).');
  await startGateway({}, first.port);
  await client.ping();
});

it('A call whose gateway dies is answered', async () => {
  const gateway = createServer((_, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': begun\n\n');
  });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const begun = once(gateway, 'request');
  const host = lines((gateway.address() as AddressInfo).port);
  const answer = host.ask({ id: 'a', method: 'tools/list' });
  await begun;
  gateway.closeAllConnections();
  gateway.close();
  expect(await answer).toEqual([
    {
      jsonrpc: '2.0',
      id: 'a',
      error: { code: -32_000, message: expect.stringContaining('before it answered') },
    },
  ]);
  host.end();
  await host.ended;
});

it('A refusal of the gateway reaches the host with the gateway’s message, as the answer to the request', async () => {
  const { port } = await startGateway();
  const host = lines(port, secretOf('unknown'));
  expect(await host.ask({ id: 7, method: 'tools/list' })).toMatchObject([
    {
      id: 7,
      error: {
        message: 'The token is wrong, expired or revoked.',
        data: { code: 'UNAUTHENTICATED' },
      },
    },
  ]);
  expect(host.said).toEqual(['The token is wrong, expired or revoked.']);
  host.end();
  await host.ended;
});

it('If the server at the address is not a gateway, the answer to the host says so', async () => {
  const other = createServer((_, res) => res.writeHead(404).end('<html>'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const host = lines((other.address() as AddressInfo).port);
  expect(await host.ask({ id: 1, method: 'ping' })).toMatchObject([
    { id: 1, error: { message: expect.stringMatching(/is no gateway: HTTP 404/) } },
  ]);
  host.end();
  await host.ended;
});

it('Lines that are not messages are skipped, and the end of the input interrupts running code', async () => {
  const started = createGate();
  const interrupted = createGate();
  const { port } = await startGateway({
    executeUntil: async (_principal, _request, { until }) => {
      started.open();
      await once(until, 'abort');
      return queuedExecution();
    },
    interrupt: async () => {
      interrupted.open();
      return queuedExecution();
    },
    outputPage: async () => ({ items: [], isEnd: true }),
  });
  const host = lines(port);
  host.write('no JSON\n{"jsonrpc":"2.0"}\n');
  expect(await host.ask({ id: 1, method: 'ping' })).toEqual([
    { jsonrpc: '2.0', id: 1, result: {} },
  ]);
  expect(host.said).toHaveLength(1);
  const params = { name: 'execute_code', arguments: { code: '1' } };
  host.write(`${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params })}\n`);
  await started.isOpen;
  host.end();
  await host.ended;
  await interrupted.isOpen;
});
