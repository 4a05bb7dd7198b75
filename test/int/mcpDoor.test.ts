/**
 * What the door for MCP answers to callers that are not hosts and to calls that fail, and what it tells models about
 * limits.
 */
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { DomainError } from '../../src/domain/errors.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { createMcpDoor } from '../../src/doors/mcp/mcpDoor.ts';
import { newId } from '../../src/process/newId.ts';
import { contextViewOf } from '../../src/service/contexts/contexts.ts';
import { memoryService } from '../support/memoryService.ts';
import { pulledStream } from '../support/pulledStream.ts';
import { openContext, queuedExecution } from '../support/states.ts';
import { secretOf, tokensFor } from '../support/testDoor.ts';
import { startTransport } from '../support/transportServer.ts';

const PAGE = 'https://page.example.com';
const PATH = `/t/${secretOf('mine')}/mcp`;

/** @param users by the name of their token */
async function start(
  parts: Parameters<typeof memoryService>[0] = {},
  users: Readonly<Record<string, string>> = {},
  settings: Readonly<Record<string, string>> = {},
) {
  const log: string[] = [];
  const door = createMcpDoor({
    settings: loadConfig({ SOCKET_DIR: '/run/x', ...settings }),
    logger: pino({ level: 'warn' }, { write: (line) => void log.push(line) }),
    newId,
    newErrorId: newId,
    now: () => new Date(),
  });
  const { tokenCache } = tokensFor({ mine: 'mcp' }, users);
  const config = { corsOrigins: [PAGE] };
  const started = await startTransport(memoryService(parts), { doors: [door], tokenCache, config });
  return { ...started, doorLog: log };
}

it('A client in a page of CORS_ORIGINS may send what a host sends', async () => {
  const { origin } = await start();
  const answer = await fetch(`${origin}/mcp`, { method: 'OPTIONS', headers: { Origin: PAGE } });
  const allowed = answer.headers.get('access-control-allow-headers')?.split(', ') ?? [];
  for (const header of ['authorization', 'content-type', 'mcp-protocol-version', 'x-session-id'])
    expect(allowed).toContain(header);
});

it.each(['GET', 'DELETE', 'PUT', 'OPTIONS', 'TRACE'])('%s is refused with 405', async (method) => {
  const { port, doorLog, log } = await start();
  const sent = request({ port, path: PATH, method });
  sent.end();
  const answer = await new Promise<IncomingMessage>((resolve, reject) =>
    sent.on('response', resolve).on('error', reject),
  );
  expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'POST']);
  expect(JSON.parse(await text(answer))).toMatchObject({ jsonrpc: '2.0', id: null });
  expect([...doorLog, ...log]).toEqual([]);
});

/** Sends a request as a client of the former era. Resolves with the text of the answer. */
async function ask(origin: string, method: string, params: object): Promise<string> {
  const answer = await fetch(`${origin}${PATH}`, {
    method: 'POST',
    headers: {
      Accept: 'application/json, text/event-stream',
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return await answer.text();
}

/** The result of the answer, which is JSON or one server-sent event with it. */
async function resultOf(origin: string, method: string, params: object): Promise<unknown> {
  const told = await ask(origin, method, params);
  return JSON.parse(told.slice(told.indexOf('{'))).result;
}

const read = (origin: string, uri: string) => ask(origin, 'resources/read', { uri });

it.each(['output', 'images/1'])(
  'Reading a resource %s that fails unexpectedly reveals no text of the error, which is logged once',
  async (what) => {
    const { origin, doorLog } = await start({
      execution: async () => {
        throw new Error('a secret of the database');
      },
    });
    const told = await read(origin, `cellhouse://executions/x/${what}`);
    const [, errorId] = /"message":"[^"]*Internal error ([\w-]+)"/.exec(told) ?? [];
    expect(told).not.toContain('secret');
    expect(doorLog).toHaveLength(1);
    expect(errorId).toBeDefined();
    expect(doorLog[0]).toContain(errorId);
  },
);

it('Reading a resource that fails with an expected error reveals its code and message', async () => {
  const { origin, doorLog } = await start({
    execution: async () => {
      throw new DomainError('DATABASE_UNAVAILABLE', 'Away.', { retryAfterMs: 1_500 });
    },
  });
  const told = await read(origin, 'cellhouse://executions/x/output');
  expect(told).toContain('DATABASE_UNAVAILABLE: Away. Try again in 2 s.');
  expect(doorLog).toEqual([]);
});

it('The time to make a context counts as waiting, so that hosts get their answer in time', async () => {
  const waits: boolean[] = [];
  const { origin } = await start(
    {
      createContext: async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return contextViewOf(openContext());
      },
      executeUntil: async (_principal, _request, { until }) => {
        waits.push(!until.aborted);
        return queuedExecution();
      },
      outputPage: async () => ({ items: [], isEnd: true }),
    },
    { mine: 'ann' },
  );
  const input = { code: '1', session_id: 'a', wait_seconds: 0 };
  const told = await ask(origin, 'tools/call', { name: 'execute_code', arguments: input });
  expect(told).toContain('"status":"queued"');
  expect(waits).toEqual([false]);
});

it("Interrupting the default session of one user leaves the user's other sessions alone", async () => {
  const context = openContext();
  const here = queuedExecution({ userUuid: 'ann' });
  const elsewhere = queuedExecution({ userUuid: 'ann', contextId: context.id });
  const edges = [here, elsewhere].map((item) => ({ item, cursor: item.id }));
  const interrupted: string[] = [];
  const { origin } = await start(
    {
      executions: async (_principal, { statuses }) => ({
        edges: statuses?.includes('RUNNING') ? edges : [],
        hasNextPage: false,
      }),
      interrupt: async (_principal, id) => {
        interrupted.push(id);
        return here;
      },
    },
    { mine: 'ann' },
  );
  const input = { session_id: 'default' };
  await ask(origin, 'tools/call', { name: 'interrupt_execution', arguments: input });
  expect(interrupted).toEqual([here.id]);
});

it('Progress of an execution is read after the `after_seq` of the call', async () => {
  const read: unknown[] = [];
  const { origin } = await start({
    awaitExecution: async () => queuedExecution(),
    outputPage: async () => ({ items: [], isEnd: true }),
    followExecution: async (_principal, id, after) => {
      read.push([id, after]);
      return pulledStream<OutputItem>(() => null);
    },
  });
  await ask(origin, 'tools/call', {
    name: 'get_execution',
    arguments: { execution_id: 'one', after_seq: 7 },
    _meta: { progressToken: 'p' },
  });
  expect(read).toEqual([['one', 7]]);
});

describe('What a model is told', () => {
  const told = async (settings: Readonly<Record<string, string>>) => {
    const { origin } = await start({}, {}, settings);
    const params = {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'host', version: '1' },
    };
    const { instructions } = (await resultOf(origin, 'initialize', params)) as Initialized;
    const { tools } = (await resultOf(origin, 'tools/list', {})) as ToolList;
    const texts = [instructions, ...tools.map(({ description }) => description)];
    const count = (part: string) => texts.filter((text) => text.includes(part)).length;
    const limits = tools.flatMap(
      ({ inputSchema: { properties } }) => properties.timeout_seconds ?? [],
    );
    const opens = tools.filter(({ annotations }) => annotations?.openWorldHint === true);
    return { count, limits, opens: opens.map(({ name }) => name) };
  };
  const PYPI = 'pypi.org,files.pythonhosted.org';
  const NONE = 'There is no network: no downloads, no pip install.';
  const LISTED = 'Only hosts that the operator has listed can be reached';
  const ALL = 'Hosts on the internet can be reached';
  const HAS_INDEX = 'The package index of pip is among them.';
  const HAS_NO_INDEX = 'The package index is not among them: no pip install.';

  it.each([
    [{}, [NONE]],
    [{ PIP_INDEX_URL: 'https://pypi.org/simple' }, [NONE]],
    [{ EGRESS_ALLOW: PYPI }, [LISTED, HAS_INDEX]],
    [{ EGRESS_ALLOW: '*.org' }, [LISTED, HAS_INDEX]],
    [{ EGRESS_ALLOW: PYPI, TENANT_EGRESS_ALLOW: 'a=' }, [LISTED, HAS_INDEX]],
    [{ EGRESS_ALLOW: '*' }, [ALL, HAS_INDEX]],
    [{ EGRESS_ALLOW: 'pypi.org' }, [LISTED, HAS_NO_INDEX]],
    [{ EGRESS_ALLOW: 'pypi.org:80,files.pythonhosted.org:80' }, [LISTED, HAS_NO_INDEX]],
    [{ EGRESS_ALLOW: 'example.org' }, [LISTED, HAS_NO_INDEX]],
    [
      { EGRESS_ALLOW: PYPI, PIP_INDEX_URL: 'https://pip.example.org/simple' },
      [LISTED, HAS_NO_INDEX],
    ],
    [
      { EGRESS_ALLOW: '10.0.0.5:3141', PIP_INDEX_URL: 'http://10.0.0.5:3141/x' },
      [LISTED, HAS_INDEX],
    ],
  ])('about the network under %j is true there', async (settings, sentences) => {
    const { count, opens } = await told(settings);
    for (const sentence of [NONE, LISTED, ALL, HAS_INDEX, HAS_NO_INDEX])
      expect([sentence, count(sentence)]).toEqual([sentence, sentences.includes(sentence) ? 3 : 0]);
    expect(opens).toEqual(sentences.includes(NONE) ? [] : ['execute_code', 'run_command']);
  });

  it.each([
    [{}, [60, 300], [60, 3_600]],
    [{ MAX_EXECUTION_TIMEOUT_MS: '1800000' }, [60, 1_800], [60, 3_600]],
    [{ MAX_EXECUTION_TIMEOUT_MS: '30000', MAX_COMMAND_TIMEOUT_MS: '45000' }, [30, 30], [45, 45]],
    [{ MAX_EXECUTION_TIMEOUT_MS: '500', EXECUTION_TIMEOUT_MS: '500' }, [0.5, 0.5], [60, 3_600]],
  ])('about time limits under %j is what calls may set there', async (settings, ...expected) => {
    const { limits } = await told(settings);
    const seen = limits.map(({ description, maximum }) => [
      Number(/Default (.+)\.$/.exec(description)?.[1]),
      maximum,
    ]);
    expect(seen).toEqual(expected);
    for (const { minimum, maximum } of limits) expect(minimum).toBeLessThanOrEqual(maximum);
  });
});

interface Initialized {
  readonly instructions: string;
}

interface ToolList {
  readonly tools: readonly {
    readonly name: string;
    readonly description: string;
    readonly annotations?: { readonly openWorldHint?: boolean };
    readonly inputSchema: {
      readonly properties: Readonly<Record<string, Limit | undefined>>;
    };
  }[];
}

interface Limit {
  readonly description: string;
  readonly minimum: number;
  readonly maximum: number;
}
