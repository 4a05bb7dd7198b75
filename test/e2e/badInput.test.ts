/** What bad input gets, over HTTP and over WebSocket alike: a stable code, the field and the limit, and nothing happens. */
import { randomUUID } from 'node:crypto';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { userEventCount } from '../support/eventCount.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { execute } from '../support/interpreter.ts';

const MAX_CODE_BYTES = 1_048_576;
const MAX_BODY_BYTES = 8_388_608;
const MAX_EXECUTION_TIMEOUT_MS = 300_000;
const MAX_USER_UUID_CHARACTERS = 128;

const EXECUTE = 'mutation ($input: ExecuteInput!) { execute(input: $input) { status } }';
const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { status } }';

interface Outcome {
  readonly data?: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors?: readonly unknown[] | undefined;
}
type Ask = (query: string, variables?: Record<string, unknown>) => Promise<Outcome>;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({
    MIN_IDLE_WORKERS: '1',
    MAX_TOTAL_WORKERS: '1',
    MAX_QUEUED_EXECUTIONS: '1',
  });
});
afterAll(() => gateway.destroy());

const overHttp: Ask = (query, variables) => gateway.graphql(query, variables);

/** The first answer, whether the protocol brings it as a result or as an error. */
const overWebSocket: Ask = (query, variables = {}) =>
  new Promise((resolve, reject) => {
    const client = gateway.socket();
    client.subscribe<Record<string, unknown>>(
      { query, variables },
      {
        next: resolve,
        error: (error) => (Array.isArray(error) ? resolve({ errors: error }) : reject(error)),
        complete: () => void client.dispose(),
      },
    );
  });

const good = { userUuid: 'someone', code: '1' };

const refusedInputs: readonly (readonly [string, object, object])[] = [
  ['empty code', { ...good, code: '' }, { field: 'code' }],
  [
    'code over the limit, in bytes of UTF-8',
    { ...good, code: '波'.repeat(MAX_CODE_BYTES / 3 + 1) },
    { field: 'code', limit: MAX_CODE_BYTES },
  ],
  ['an empty userUuid', { ...good, userUuid: '' }, { field: 'userUuid' }],
  [
    'an over-long userUuid',
    { ...good, userUuid: 'x'.repeat(MAX_USER_UUID_CHARACTERS + 1) },
    { field: 'userUuid', limit: MAX_USER_UUID_CHARACTERS },
  ],
  ['U+0000 in a userUuid', { ...good, userUuid: 'a\u0000' }, { field: 'userUuid' }],
  ['U+0000 in a key', { ...good, idempotencyKey: 'a\u0000' }, { field: 'idempotencyKey' }],
  ['no time', { ...good, timeoutMs: 0 }, { field: 'timeoutMs' }],
  ['negative time', { ...good, timeoutMs: -1 }, { field: 'timeoutMs' }],
  [
    'too much time',
    { ...good, timeoutMs: MAX_EXECUTION_TIMEOUT_MS + 1 },
    { field: 'timeoutMs', limit: MAX_EXECUTION_TIMEOUT_MS },
  ],
  ['a negative wait', { ...good, waitForWorkerMs: -1 }, { field: 'waitForWorkerMs' }],
  ['a time that is no number', { ...good, timeoutMs: 'soon' }, {}],
  ['no code at all', { userUuid: 'someone' }, {}],
];

describe.each([
  ['HTTP', overHttp],
  ['WebSocket', overWebSocket],
])('over %s', (_name, ask) => {
  it.each(refusedInputs)('refuses %s, and nothing is recorded', async (_case, input, details) => {
    const before = await userEventCount(gateway.dataDir);
    for (const query of [EXECUTE, SUBMIT]) {
      const { data, errors } = await ask(query, { input });
      expect(data ?? null).toBeNull();
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', ...details } }]);
      for (const named of Object.values(details))
        expect(errors).toMatchObject([{ message: expect.stringContaining(String(named)) }]);
    }
    expect(await userEventCount(gateway.dataDir)).toBe(before);
    expect((await ask('{ poolStatus { busyWorkers } }')).data).toEqual({
      poolStatus: { busyWorkers: 0 },
    });
  });

  it.each([randomUUID(), 'no-uuid', ''])('does not know the execution %j', async (id) => {
    const query = 'query ($id: ID!) { execution(id: $id) { id } }';
    expect((await ask(query, { id })).data).toEqual({ execution: null });
    const interrupt = 'mutation ($id: ID!) { interrupt(executionId: $id) { id } }';
    expect((await ask(interrupt, { id })).errors).toMatchObject([
      { extensions: { code: 'NOT_FOUND' } },
    ]);
  });

  it('knows no session of a stranger', async () => {
    expect((await ask('{ session(userUuid: "stranger") { id } }')).data).toEqual({ session: null });
    expect(
      (await ask('mutation { restartKernel(userUuid: "stranger") { id } }')).errors,
    ).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    expect(
      (await ask('mutation { release(input: { userUuid: "stranger" }) { released } }')).data,
    ).toEqual({ release: { released: false } });
  });

  it.each(['{', '{ nothing }', 'mutation { execute { id } }', ''])(
    'answers the document %j with a code',
    async (query) => {
      expect((await ask(query)).errors).toEqual(
        expect.arrayContaining([
          expect.objectContaining({
            extensions: expect.objectContaining({ code: expect.any(String) }),
          }),
        ]),
      );
    },
  );
});

describe('subscriptions', () => {
  it.each([
    [`output(executionId: "${randomUUID()}") { seq }`, 'NOT_FOUND'],
    ['output(executionId: "no-uuid") { seq }', 'NOT_FOUND'],
    [`output(executionId: "${randomUUID()}", after: -1) { seq }`, 'BAD_USER_INPUT'],
    ['sessionOutput(userUuid: "") { seq }', 'BAD_USER_INPUT'],
    ['sessionOutput(userUuid: "someone", after: "garbage") { seq }', 'BAD_USER_INPUT'],
  ])('%s gets %s', async (field, code) => {
    const { errors } = await overWebSocket(`subscription { ${field} }`);
    expect(errors).toMatchObject([{ extensions: { code } }]);
  });
});

describe('callers without the token', () => {
  it.each<Record<string, string>>([
    {},
    { 'X-Auth-Token': 'wrong' },
    { 'X-Auth-Token': '' },
    { Authorization: 'Bearer wrong' },
  ])('%j: HTTP 401', async (token) => {
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...token },
      body: JSON.stringify({ query: '{ __typename }' }),
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
  });

  it.each([undefined, 'wrong'])('%j: the WebSocket closes with 4403', async (token) => {
    const client = createClient({
      url: `${gateway.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      ...(token && { connectionParams: { 'X-Auth-Token': token } }),
      retryAttempts: 0,
    });
    const failed = new Promise((resolve) => {
      client.subscribe(
        { query: '{ __typename }' },
        { next: resolve, error: resolve, complete: () => resolve('completed') },
      );
    });
    expect(await failed).toMatchObject({ code: 4403 });
  });
});

describe('a body over the limit', () => {
  it('gets HTTP 413 with errors', async () => {
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Auth-Token': gateway.token },
      body: JSON.stringify({ query: `{ __typename } # ${'x'.repeat(MAX_BODY_BYTES)}` }),
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      errors: [{ message: expect.stringContaining('MAX_BODY_BYTES') }],
    });
  });

  it('closes a WebSocket with 1009', async () => {
    const query = `{ __typename } # ${'x'.repeat(MAX_BODY_BYTES)}`;
    await expect(overWebSocket(query)).rejects.toMatchObject({ code: 1009 });
  });
});

describe('a service at its limits', () => {
  it.each([
    ['HTTP', overHttp],
    ['WebSocket', overWebSocket],
  ])('says POOL_EXHAUSTED with a hint when to come back, over %s', async (_name, ask) => {
    await execute(gateway, 'first', '1');
    const before = await userEventCount(gateway.dataDir);
    const { errors } = await ask(EXECUTE, {
      input: { userUuid: 'second', code: '1', waitForWorkerMs: 300 },
    });
    expect(await userEventCount(gateway.dataDir)).toBe(before);
    expect(errors).toMatchObject([
      { extensions: { code: 'POOL_EXHAUSTED', retryAfterMs: expect.any(Number) } },
    ]);
    expect((await overHttp('{ session(userUuid: "second") { id } }')).data).toEqual({
      session: null,
    });
  });

  it('says QUEUE_FULL, and IDEMPOTENCY_CONFLICT for other code under a key', async () => {
    const submit = (code: string, idempotencyKey: string) =>
      overHttp(SUBMIT, { input: { userUuid: 'first', code, idempotencyKey } });
    await submit('import time; time.sleep(60)', 'running');
    await submit('2', 'queued');
    expect((await submit('3', 'one too many')).errors).toMatchObject([
      { extensions: { code: 'QUEUE_FULL' } },
    ]);
    expect((await submit('other', 'queued')).errors).toMatchObject([
      { extensions: { code: 'IDEMPOTENCY_CONFLICT' } },
    ]);
    await overHttp('mutation { release(input: { userUuid: "first" }) { released } }');
  });
});
