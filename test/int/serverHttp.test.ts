import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import {
  executionRow,
  MAX_RESPONSE_BYTES,
  memoryService,
  outputItems,
} from '../support/memoryService.ts';
import { pulledStream } from '../support/pulledStream.ts';
import { MAX_BODY_BYTES, startTransport, TOKEN, VERSION } from '../support/transportServer.ts';

const POOL_QUERY = '{ poolStatus { totalWorkers } }';
const EXECUTE = `mutation ($code: String!) {
  execute(input: { userUuid: "someone", code: $code }) { id stdout resultText }
}`;
const JSON_HEADERS = { 'Content-Type': 'application/json', 'X-Auth-Token': TOKEN };

describe('the token over HTTP', () => {
  it.each([
    ['X-Auth-Token', TOKEN],
    ['Authorization', `Bearer ${TOKEN}`],
    ['authorization', `bearer ${TOKEN}`],
  ])('is taken from %s', async (name, value) => {
    const { origin } = await startTransport(memoryService());
    const response = await post(origin, POOL_QUERY, { [name]: value });
    expect(await response.json()).toEqual({ data: { poolStatus: { totalWorkers: 3 } } });
  });

  it.each([
    ['no', {}],
    ['a wrong', { 'X-Auth-Token': 'wrong' }],
    ['a wrong bearer', { Authorization: 'Bearer wrong' }],
    ['an empty', { 'X-Auth-Token': '' }],
  ])('a request with %s token gets 401 UNAUTHENTICATED', async (_name, headers) => {
    const { origin } = await startTransport(memoryService());
    const response = await post(origin, POOL_QUERY, headers);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
  });
});

describe('the server in front of GraphQL', () => {
  it('refuses a body over the limit with 413, by its declared length', async () => {
    const { origin } = await startTransport(memoryService());
    const response = await fetch(`${origin}/graphql`, {
      method: 'POST',
      headers: JSON_HEADERS,
      body: JSON.stringify({ query: POOL_QUERY, variables: { x: 'x'.repeat(MAX_BODY_BYTES) } }),
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT', limit: MAX_BODY_BYTES } }],
    });
  });

  it('refuses a body at the first byte over the limit, and closes an endless upload', async () => {
    const { port } = await startTransport(memoryService());
    const socket = connectTcp(port, '127.0.0.1');
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${TOKEN}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const size = 16_384;
    const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;
    const timer = setInterval(() => socket.write(chunk), 5);
    const answered = once(socket, 'data');
    socket.on('error', () => clearInterval(timer));
    const ended = once(socket, 'close').finally(() => clearInterval(timer));
    expect(String(await answered)).toMatch(/^HTTP\/1\.1 413 /);
    await ended;
  });

  it.each(['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain'])(
    'refuses %s with 415',
    async (type) => {
      const { origin } = await startTransport(memoryService());
      const response = await fetch(`${origin}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': type, 'X-Auth-Token': TOKEN },
        body: `query=${encodeURIComponent(POOL_QUERY)}`,
      });
      expect(response.status).toBe(415);
      expect(await response.json()).toHaveProperty('errors');
    },
  );

  it('the server answers a GET query, but runs no mutation by GET', async () => {
    const { origin } = await startTransport(memoryService());
    const get = (query: string, headers: Record<string, string>) =>
      fetch(`${origin}/graphql?query=${encodeURIComponent(query)}`, { headers });
    expect((await get(POOL_QUERY, { 'X-Auth-Token': TOKEN })).status).toBe(200);
    const mutation = 'mutation { release(input: { userUuid: "x" }) { released } }';
    expect((await get(mutation, { 'X-Auth-Token': TOKEN })).status).toBe(405);
    expect((await get(POOL_QUERY, {})).status).toBe(401);
  });

  it.each([['not json'], ['[]'], ['null'], ['[{"query":"{ __typename }"}]'], ['']])(
    'answers %j with 400 and errors',
    async (body) => {
      const { origin } = await startTransport(memoryService());
      const response = await fetch(`${origin}/graphql`, {
        method: 'POST',
        headers: JSON_HEADERS,
        body,
      });
      expect(response.status).toBe(400);
      expect(await response.json()).toHaveProperty('errors');
    },
  );

  it('the server lets no other origin read', async () => {
    const { origin } = await startTransport(memoryService());
    const response = await post(origin, POOL_QUERY, {
      'X-Auth-Token': TOKEN,
      Origin: 'http://evil.example',
    });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('errors', () => {
  it('that are expected carry their code and details', async () => {
    const server = await startTransport(
      memoryService({
        execute: async () => {
          throw new DomainError('POOL_EXHAUSTED', 'All workers are busy.', { retryAfterMs: 1500 });
        },
      }),
    );
    const { errors } = await server.query(EXECUTE, { code: '1' });
    expect(errors).toMatchObject([
      {
        message: 'All workers are busy.',
        path: ['execute'],
        extensions: { code: 'POOL_EXHAUSTED', retryAfterMs: 1500 },
      },
    ]);
    expect(server.log).toEqual([]);
  });

  it('that are unexpected are masked as INTERNAL, and logged once with their cause', async () => {
    const server = await startTransport(
      memoryService({
        execute: async () => {
          throw new Error('the secret is 42', { cause: new Error('the disk is full') });
        },
      }),
    );
    const { errors = [] } = await server.query(EXECUTE, { code: '1' });
    expect(errors).toMatchObject([{ message: 'Internal error', extensions: { code: 'INTERNAL' } }]);
    expect(JSON.stringify(errors)).not.toMatch(/secret|disk/);
    expect(server.log).toHaveLength(1);
    expect(server.log[0]?.errorId).toBe(errors[0]?.extensions.errorId);
    expect(JSON.stringify(server.log[0])).toMatch(/the secret is 42.*the disk is full/);
  });

  it('in variables and arguments have a code', async () => {
    const server = await startTransport(memoryService({ execution: async () => executionRow() }));
    expect((await server.query(EXECUTE, { code: 7 })).errors).toMatchObject([
      { extensions: { code: 'BAD_USER_INPUT' } },
    ]);
    const page = '{ execution(id: "x") { outputs(first: -1) { seq } } }';
    expect((await server.query(page)).errors).toMatchObject([
      { extensions: { code: 'BAD_USER_INPUT', field: 'first' } },
    ]);
    expect(server.log).toEqual([]);
  });

  it('name the field that made a response too large', async () => {
    const execution = executionRow();
    const text = 'x'.repeat(MAX_RESPONSE_BYTES / 2 + 1);
    const server = await startTransport(
      memoryService({
        execution: async () => execution,
        outputs: async () =>
          outputItems(execution, [{ kind: 'stream', name: 'stdout', text }, { kind: 'finish' }]),
      }),
    );
    const once = await server.query('{ execution(id: "x") { stdout } }');
    expect(once.data).toEqual({ execution: { stdout: text } });
    const twice = await server.query('{ execution(id: "x") { stdout resultText } }');
    expect(twice.errors).toMatchObject([
      { extensions: { code: 'BAD_USER_INPUT', field: 'resultText', limit: MAX_RESPONSE_BYTES } },
    ]);
  });
});

describe('the result of an execution', () => {
  it('is refused rather than incomplete', async () => {
    const execution = executionRow();
    const part = outputItems(execution, [{ kind: 'stream', name: 'stdout', text: 'part' }]);
    const server = await startTransport(
      memoryService({
        execution: async () => execution,
        outputs: async ({ limit }) => (limit === 1 ? part : null),
      }),
    );
    const { errors } = await server.query('{ execution(id: "x") { stdout } }');
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field: 'outputs' } }]);
    const page = await server.query('{ execution(id: "x") { outputs(first: 1) { seq } } }');
    expect(page.data).toEqual({ execution: { outputs: [{ seq: 1 }] } });
  });

  it('is assembled from its outputs, which are read only once', async () => {
    const execution = executionRow({ status: 'ERROR' });
    let reads = 0;
    const server = await startTransport(
      memoryService({
        execution: async () => execution,
        outputs: async () => {
          reads += 1;
          return outputItems(execution, [
            { kind: 'stream', name: 'stdout', text: 'a\u0000\ud800' },
            { kind: 'stream', name: 'stderr', text: 'w' },
            { kind: 'stream', name: 'stdout', text: 'b' },
            rich('display', { 'image/png': 'AA\nBB\n' }),
            rich('result', { 'text/plain': 'old' }),
            rich('result', { 'text/plain': "'x'" }),
            { kind: 'error', name: 'NameError', value: 'n', traceback: ['t1', 't2'] },
            { kind: 'finish' },
          ]);
        },
      }),
    );
    const { data } = await server.query(`{ execution(id: "x") {
      stdout stderr resultText resultBase64 requestedAt error { name value traceback }
      outputs { seq __typename } session { userUuid }
    } }`);
    expect(data?.execution).toMatchObject({
      stdout: 'a\u0000\ud800b',
      stderr: 'w',
      resultText: "a\u0000\ud800b'x'",
      resultBase64: 'AABB',
      requestedAt: '2026-01-31T12:00:00.000Z',
      error: { name: 'NameError', value: 'n', traceback: ['t1', 't2'] },
      session: { userUuid: 'someone' },
      outputs: [1, 2, 3, 4, 5, 6, 7].map((seq) => ({ seq })),
    });
    expect(reads).toBe(1);
  });

  it('comes from code that reaches the service unchanged, even with odd text', async () => {
    const codes: string[] = [];
    const server = await startTransport(
      memoryService({
        execute: async (_principal, { code }) => {
          codes.push(code);
          return executionRow();
        },
      }),
    );
    const code = '"\u0000\ud800\udc00\ud800 正弦波"';
    const { data } = await server.query(EXECUTE, { code });
    expect(codes).toEqual([code]);
    expect(data?.execute).toMatchObject({ stdout: '', resultText: null });
  });

  it('is completed even if the client goes away', async () => {
    let started: () => void = () => undefined;
    const isStarted = new Promise<void>((resolve) => {
      started = resolve;
    });
    let finish: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const server = await startTransport(
      memoryService({
        execute: async () => {
          started();
          await running;
          return executionRow();
        },
      }),
    );
    const client = new AbortController();
    const answer = post(server.origin, EXECUTE, JSON_HEADERS, client.signal, { code: '1' });
    await isStarted;
    client.abort();
    await expect(answer).rejects.toThrow();
    finish();
    await running;
    expect((await server.query(POOL_QUERY)).status).toBe(200);
    expect(server.log).toEqual([]);
  });
});

describe('server-sent events', () => {
  it('stream a subscription, and end its source when the client leaves', async () => {
    const execution = executionRow();
    const [item] = outputItems(execution, [{ kind: 'stream', name: 'stdout', text: 'hi' }]);
    const stream = pulledStream((n) => (n === 1 && item ? item : null));
    const { origin } = await startTransport(memoryService({ followExecution: async () => stream }));
    const client = new AbortController();
    const response = await fetch(`${origin}/graphql`, {
      method: 'POST',
      headers: { ...JSON_HEADERS, Accept: 'text/event-stream' },
      body: JSON.stringify({
        query: 'subscription { output(executionId: "x") { seq ... on StreamOutput { text } } }',
      }),
      signal: client.signal,
    });
    const decoder = new TextDecoder();
    let text = '';
    for await (const part of response.body ?? []) {
      text += decoder.decode(part as Uint8Array);
      if (text.includes('"text":"hi"')) break;
    }
    client.abort();
    await stream.returned;
    expect(text).not.toContain('complete');
  });
});

describe('other paths', () => {
  it('/livez and /readyz need no token', async () => {
    const { origin } = await startTransport(memoryService(), {
      readiness: async () => ({
        status: 'not ready',
        reasons: ['The database does not answer.'],
      }),
    });
    const live = await fetch(`${origin}/livez`);
    expect(live.status).toBe(200);
    expect(await live.json()).toEqual({ status: 'ok', version: VERSION });
    const ready = await fetch(`${origin}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ reasons: ['The database does not answer.'] });
  });

  it('/ is the console, which loads nothing from elsewhere', async () => {
    const { origin } = await startTransport(memoryService());
    for (const path of [
      '/',
      '/console.js',
      '/consoleFiles.js',
      '/consoleInput.js',
      '/graphqlSocket.js',
      '/console.css',
    ]) {
      const response = await fetch(`${origin}${path}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(await response.text()).not.toMatch(/https?:\/\//);
    }
    expect((await fetch(`${origin}/../package.json`)).status).toBe(404);
  });

  it('/graphql is GraphiQL for a browser, with the field for the token', async () => {
    const { origin } = await startTransport(memoryService());
    const response = await fetch(`${origin}/graphql`, { headers: { Accept: 'text/html' } });
    const html = await response.text();
    expect(html).toContain('/graphiqlToken.js');
    expect(html).toContain('YogaGraphiQL');
  });
});

function rich(kind: 'result' | 'display', data: Record<string, string>) {
  return { kind, data, metadata: {}, displayId: null, executionCount: 1 } as const;
}

function post(
  origin: string,
  query: string,
  headers: Record<string, string>,
  signal: AbortSignal | null = null,
  variables: Record<string, unknown> = {},
): Promise<Response> {
  return fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
    signal,
  });
}
