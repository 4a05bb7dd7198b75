/** What one document may request, over both transports, and what pages of other origins may do. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { getIntrospectionQuery } from 'graphql';
import { describe, expect, it } from 'vitest';
import { executionRow, memoryService, outputItems } from '../support/memoryService.ts';
import { startTransport, TOKEN } from '../support/transportServer.ts';

const nested = (depth: number): string =>
  depth === 1 ? '__typename' : `session { ${nested(depth - 1)} }`;
const POOL_FIELDS = 'totalWorkers busyWorkers idleWorkers startingWorkers';

/** A page of the largest size, with all fields of each item. */
const WHOLE_PAGE = `{ events(first: 1000) {
  pageInfo { hasNextPage endCursor }
  edges { cursor node { at causationId correlationId data gatewayId id position recordedAt type version } }
} }`;

const cases = [
  [
    'depth',
    { maxQueryDepth: 3 },
    `{ execution(id: "x") { ${nested(3)} } }`,
    /depth limit of 3 exceeded, found 4/,
  ],
  [
    'aliases',
    { maxQueryAliases: 2 },
    '{ a: poolStatus { b: totalWorkers c: totalWorkers } d: poolStatus { totalWorkers } }',
    /Aliases limit of 2 exceeded, found 4/,
  ],
  [
    'directives',
    { maxQueryDirectives: 1 },
    '{ poolStatus @include(if: true) { totalWorkers @skip(if: false) } }',
    /Directives limit of 1 exceeded, found 2/,
  ],
  ['tokens', { maxQueryTokens: 5 }, `{ poolStatus { ${POOL_FIELDS} } }`, /more that 5 tokens/],
  [
    'cost',
    { maxQueryCost: 5 },
    `{ poolStatus { ${POOL_FIELDS} } }`,
    /Cost limit of 5 exceeded, found 8/,
  ],
  [
    'introspection',
    { introspection: 'off' },
    '{ __schema { __typename } }',
    /introspection has been disabled/i,
  ],
] as const;

describe.each(cases)('a document over the limit of %s', (_name, config, document, message) => {
  it('is refused over HTTP, with what was found', async () => {
    const { query } = await startTransport(memoryService(), { config });
    const answer = await query(document);
    expect(answer.data).toBeUndefined();
    expect(answer.errors?.[0]).toMatchObject({
      message: expect.stringMatching(message),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('is refused over WebSocket, and the socket stays open', async () => {
    const { connect } = await startTransport(memoryService(), { config });
    const connection = await connect();
    connection.send({ id: '1', type: 'subscribe', payload: { query: document } });
    const { id, type, payload } = await connection.take();
    expect([id, type]).toEqual(['1', 'error']);
    expect((payload as unknown[])[0]).toMatchObject({
      message: expect.stringMatching(message),
      extensions: { code: 'BAD_USER_INPUT' },
    });
    connection.send({ type: 'ping' });
    expect(await connection.take()).toEqual({ type: 'pong' });
  });
});

it('practical documents are within all limits', async () => {
  const events = async () => ({ edges: [], hasNextPage: false });
  const { query } = await startTransport(memoryService({ events }));
  expect((await query(getIntrospectionQuery())).errors).toBeUndefined();
  expect((await query(`{ poolStatus { ${POOL_FIELDS} } }`)).errors).toBeUndefined();
  expect((await query(WHOLE_PAGE)).errors).toBeUndefined();
});

it('the items of all lists in an answer are bounded, whatever the variables say', async () => {
  const executions = async () => {
    const edge = { item: executionRow(), cursor: '1' };
    return { edges: Array.from({ length: 1_000 }, () => edge), hasNextPage: true };
  };
  const { query } = await startTransport(memoryService({ executions }));
  const pages = (count: number) =>
    `query ($first: Int) { ${Array.from({ length: count }, (_, n) => `p${n}: executions(first: $first) { edges { cursor } }`).join(' ')} }`;
  expect((await query(pages(10), { first: 1_000 })).errors).toBeUndefined();
  expect((await query(pages(11), { first: 1_000 })).errors).toMatchObject([
    {
      message: expect.stringContaining('at most 10000 items'),
      extensions: { code: 'BAD_USER_INPUT', field: 'first', limit: 10_000 },
    },
  ]);
});

describe('pages of other origins', () => {
  const origin = 'https://app.example.com';
  const preflight = (at: string) =>
    fetch(`${at}/graphql`, {
      method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
    });

  it('are not allowed unless the operator names them', async () => {
    const server = await startTransport(memoryService());
    const other = await startTransport(memoryService(), {
      config: { corsOrigins: ['https://other.example.com'] },
    });
    for (const { origin: at } of [server, other]) {
      const { headers } = await preflight(at);
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('are allowed by name, with the token', async () => {
    const { origin: at } = await startTransport(memoryService(), {
      config: { corsOrigins: [origin] },
    });
    const { status, headers } = await preflight(at);
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('access-control-allow-headers')).toContain('x-auth-token');
    expect(headers.get('vary')).toContain('Origin');
    const send = (token: string) =>
      fetch(`${at}/graphql`, {
        method: 'POST',
        headers: { Origin: origin, 'Content-Type': 'application/json', 'X-Auth-Token': token },
        body: JSON.stringify({ query: '{ poolStatus { totalWorkers } }' }),
      });
    const answer = await send(TOKEN);
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    expect(await answer.json()).toMatchObject({ data: { poolStatus: { totalWorkers: 3 } } });
    expect((await send('wrong')).status).toBe(401);
  });
});

describe('a large answer', () => {
  const text = `${randomBytes(1_000).toString('hex')}\n`.repeat(40);
  const service = () =>
    memoryService({
      execution: async () => executionRow(),
      outputs: async () =>
        outputItems(executionRow(), [{ kind: 'stream', name: 'stdout', text }, { kind: 'finish' }]),
    });

  /** Reads the raw body, since `fetch` would decompress it. */
  function get(origin: string, encoding: string | undefined, query: string) {
    const body = JSON.stringify({ query });
    return new Promise<{ encoding: string | undefined; body: Buffer }>((resolve, reject) => {
      const headers = {
        'Content-Type': 'application/json',
        'X-Auth-Token': TOKEN,
        ...(encoding && { 'Accept-Encoding': encoding }),
      };
      request(`${origin}/graphql`, { method: 'POST', headers }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        resolve({ encoding: response.headers['content-encoding'], body: Buffer.concat(chunks) });
      })
        .on('error', reject)
        .end(body);
    });
  }

  it.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
  ])('is compressed for clients that accept %s', async (encoding, decompress) => {
    const { origin } = await startTransport(service());
    const answer = await get(origin, encoding, '{ execution(id: "x") { stdout } }');
    expect(answer.encoding).toBe(encoding);
    expect(answer.body.length).toBeLessThan(text.length / 2);
    const { data } = JSON.parse(decompress(answer.body).toString());
    expect(data.execution.stdout).toBe(text);
  });

  it('is not compressed for other clients, and small answers never are', async () => {
    const { origin } = await startTransport(service());
    const plain = await get(origin, undefined, '{ execution(id: "x") { stdout } }');
    expect(plain.encoding).toBeUndefined();
    const small = await get(origin, 'gzip', '{ execution(id: "x") { status } }');
    expect(small.encoding).toBeUndefined();
    expect(JSON.parse(small.body.toString())).toEqual({ data: { execution: { status: 'OK' } } });
  });
});
