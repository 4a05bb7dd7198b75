/** What bad input gets: one clear refusal, over HTTP and over WebSocket, and nothing recorded or taken. */

import { pino } from 'pino';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ensureEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { execute, poolStatus } from '../support/interpreter.ts';
import { poolSettled } from '../support/poolSettled.ts';

const MAX_CODE_BYTES = 1_000;
const MAX_BODY_BYTES = 8_192;
const MAX_EXECUTION_TIMEOUT_MS = 20_000;
const MAX_USER_UUID_CHARS = 128;
const UNKNOWN_ID = '01900000-0000-7000-8000-000000000000';
/** graphql-ws: Forbidden. */
const FORBIDDEN = 4403;
/** RFC 6455: Message Too Big. */
const MESSAGE_TOO_BIG = 1009;

let gateway: TestGateway;
let settled: Awaited<ReturnType<typeof poolSettled>>;
let recorded: number;
beforeAll(async () => {
  gateway = await startTestGateway({
    MIN_IDLE_WORKERS: '1',
    MAX_TOTAL_WORKERS: '1',
    MAX_CODE_BYTES: String(MAX_CODE_BYTES),
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
    EXECUTION_TIMEOUT_MS: '10000',
    MAX_EXECUTION_TIMEOUT_MS: String(MAX_EXECUTION_TIMEOUT_MS),
  });
  settled = await poolSettled(gateway);
  recorded = await countEvents();
});
afterAll(() => gateway.destroy());

async function countEvents(): Promise<number> {
  const logger = pino({ level: 'silent' });
  const address = await ensureEmbeddedPostgres({ dataDir: gateway.dataDir, logger });
  const sql = postgres({ ...address, max: 1 });
  try {
    const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM events`;
    return row?.count ?? Number.NaN;
  } finally {
    await sql.end();
  }
}

interface Refused {
  readonly data?: unknown;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: Readonly<Record<string, unknown>>;
  }[];
}

type Variables = Readonly<Record<string, unknown>>;

async function overHttp(query: string, variables: Variables): Promise<Refused> {
  return await gateway.graphql(query, variables);
}

/** An operation that cannot start is an `error` message, which the client throws as the list of errors. */
async function overWebSocket(query: string, variables: Variables): Promise<Refused> {
  try {
    for await (const result of gateway.socket().iterate({ query, variables }))
      return result as Refused;
    throw new Error('No result came.');
  } catch (error: unknown) {
    if (!Array.isArray(error)) throw error;
    return { errors: error as Refused['errors'] & object };
  }
}

const TRANSPORTS = [
  ['HTTP', overHttp],
  ['WebSocket', overWebSocket],
] as const;

const EXECUTE = 'mutation Run($input: ExecuteInput!) { execute(input: $input) { id } }';
const SUBMIT = 'mutation Run($input: ExecuteInput!) { submit(input: $input) { id } }';
const fine = { userUuid: 'ann', code: '1' };

/** What is wrong, the operation, its variables, and what the refusal names. */
const REFUSED: readonly (readonly [string, string, Variables, Variables])[] = [
  ...[EXECUTE, SUBMIT].flatMap((run) =>
    (
      [
        ['empty code', { code: '' }, { field: 'code' }],
        [
          'code over MAX_CODE_BYTES',
          { code: '界'.repeat(MAX_CODE_BYTES / 3 + 1) },
          { field: 'code', limit: MAX_CODE_BYTES },
        ],
        ['an empty userUuid', { userUuid: '' }, { field: 'userUuid' }],
        [
          'an over-long userUuid',
          { userUuid: 'u'.repeat(MAX_USER_UUID_CHARS + 1) },
          { field: 'userUuid', limit: MAX_USER_UUID_CHARS },
        ],
        ['a userUuid with U+0000', { userUuid: 'a\u0000b' }, { field: 'userUuid' }],
        ['a key with U+0000', { idempotencyKey: '\u0000' }, { field: 'idempotencyKey' }],
        ['timeoutMs 0', { timeoutMs: 0 }, { field: 'timeoutMs' }],
        ['timeoutMs -1', { timeoutMs: -1 }, { field: 'timeoutMs' }],
        [
          'timeoutMs over the limit',
          { timeoutMs: MAX_EXECUTION_TIMEOUT_MS + 1 },
          { field: 'timeoutMs', limit: MAX_EXECUTION_TIMEOUT_MS },
        ],
        ['waitForWorkerMs -1', { waitForWorkerMs: -1 }, { field: 'waitForWorkerMs' }],
      ] as const
    ).map(
      ([what, wrong, named]) =>
        [
          `${run === EXECUTE ? 'execute' : 'submit'} with ${what}`,
          run,
          { input: { ...fine, ...wrong } },
          { code: 'BAD_USER_INPUT', ...named },
        ] as const,
    ),
  ),
  [
    'session of an empty userUuid',
    'query ($user: String!) { session(userUuid: $user) { id } }',
    { user: '' },
    { code: 'BAD_USER_INPUT', field: 'userUuid' },
  ],
  [
    'release of an over-long userUuid',
    'mutation ($user: String!) { release(input: { userUuid: $user }) { released } }',
    { user: 'u'.repeat(MAX_USER_UUID_CHARS + 1) },
    { code: 'BAD_USER_INPUT', field: 'userUuid', limit: MAX_USER_UUID_CHARS },
  ],
  [
    'restartKernel of a user without a session',
    'mutation { restartKernel(userUuid: "nobody") { id } }',
    {},
    { code: 'NOT_FOUND' },
  ],
  ...[UNKNOWN_ID, 'not-an-id', ''].map(
    (id) =>
      [
        `interrupt of the unknown execution ${JSON.stringify(id)}`,
        'mutation ($id: ID!) { interrupt(executionId: $id) { id } }',
        { id },
        { code: 'NOT_FOUND' },
      ] as const,
  ),
];

/** Subscriptions are refused before their first item. */
const REFUSED_SUBSCRIPTIONS: readonly (readonly [string, string, Variables])[] = [
  [
    'output of an unknown execution',
    `subscription { output(executionId: "${UNKNOWN_ID}") { seq } }`,
    { code: 'NOT_FOUND' },
  ],
  [
    'output of what is no id',
    'subscription { output(executionId: "not-an-id") { seq } }',
    { code: 'NOT_FOUND' },
  ],
  [
    'output with a negative after',
    `subscription { output(executionId: "${UNKNOWN_ID}", after: -1) { seq } }`,
    { code: 'BAD_USER_INPUT', field: 'after' },
  ],
  [
    'sessionOutput of an empty userUuid',
    'subscription { sessionOutput(userUuid: "") { seq } }',
    { code: 'BAD_USER_INPUT', field: 'userUuid' },
  ],
  [
    'sessionOutput with a malformed after',
    'subscription { sessionOutput(userUuid: "ann", after: "x:1") { seq } }',
    { code: 'BAD_USER_INPUT', field: 'after' },
  ],
  [
    'sessionOutput after an unknown execution',
    `subscription { sessionOutput(userUuid: "ann", after: "${UNKNOWN_ID}:1") { seq } }`,
    { code: 'NOT_FOUND', field: 'after' },
  ],
];

describe.each(TRANSPORTS)('bad input over %s', (_name, send) => {
  it.each(REFUSED)('refuses %s', async (_what, query, variables, named) => {
    const { data, errors } = await send(query, variables);
    expect(Object.values(data ?? {}).filter((value) => value !== null)).toEqual([]);
    expect(errors?.map(({ extensions }) => extensions)).toEqual([expect.objectContaining(named)]);
    const { field, limit } = named;
    if (field !== undefined) expect(errors?.[0]?.message).toContain(field);
    if (limit !== undefined) expect(errors?.[0]?.message).toContain(String(limit));
  });

  it.each([UNKNOWN_ID, 'not-an-id', ''])('gives null for the execution %j', async (id) => {
    expect(await send('query ($id: ID!) { execution(id: $id) { id } }', { id })).toMatchObject({
      data: { execution: null },
    });
  });

  it('names what GraphQL itself finds wrong', async () => {
    const { errors } = await send('{ poolStatus { noSuchField } }', {});
    expect(errors?.[0]?.message).toContain('noSuchField');
  });
});

it.each(REFUSED_SUBSCRIPTIONS)('refuses the subscription %s', async (_what, query, named) => {
  const { errors } = await overWebSocket(query, {});
  expect(errors?.map(({ extensions }) => extensions)).toEqual([expect.objectContaining(named)]);
});

describe('without the right token', () => {
  it.each<[string, Record<string, string>]>([
    ['none', {}],
    ['a wrong one', { 'X-Auth-Token': 'wrong' }],
    ['a wrong bearer', { Authorization: 'Bearer wrong' }],
    ['an empty one', { 'X-Auth-Token': '' }],
  ])('HTTP gives 401 (%s)', async (_what, headers) => {
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ query: EXECUTE, variables: { input: fine } }),
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
  });

  it.each<[string, Record<string, string> | undefined]>([
    ['none', undefined],
    ['a wrong one', { 'X-Auth-Token': 'wrong' }],
    ['a wrong bearer', { Authorization: 'Bearer wrong' }],
  ])('a WebSocket closes with 4403 (%s)', async (_what, payload) => {
    expect(await closeCode({ type: 'connection_init', payload })).toBe(FORBIDDEN);
  });
});

/** The code with which the server closes a connection that begins with `message`. */
async function closeCode(message: unknown): Promise<number> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/graphql`, [
    'graphql-transport-ws',
  ]);
  return await new Promise((resolve, reject) => {
    socket.on('open', () => socket.send(JSON.stringify(message)));
    socket.on('close', resolve);
    socket.on('error', reject);
  });
}

describe('a body over MAX_BODY_BYTES', () => {
  const body = JSON.stringify({ query: EXECUTE, variables: { input: fine } });

  it('is 413 with JSON errors over HTTP', async () => {
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Auth-Token': gateway.token },
      body: body.padEnd(MAX_BODY_BYTES + 1),
    });
    expect(response.status).toBe(413);
    expect(response.headers.get('content-type')).toContain('json');
    expect(await response.json()).toMatchObject({
      errors: [{ message: expect.stringContaining(`${MAX_BODY_BYTES} bytes (MAX_BODY_BYTES)`) }],
    });
  });

  it('closes a WebSocket with 1009', async () => {
    const payload = { 'X-Auth-Token': gateway.token, more: ' '.repeat(MAX_BODY_BYTES) };
    expect(await closeCode({ type: 'connection_init', payload })).toBe(MESSAGE_TOO_BIG);
  });
});

it('none of it was recorded or took a worker', async () => {
  expect(await countEvents()).toBe(recorded);
  expect(await poolStatus(gateway)).toEqual(settled);
  expect(settled).toMatchObject({ totalWorkers: 1, idleWorkers: 1, busyWorkers: 0 });
  const { data } = await gateway.graphql('{ session(userUuid: "ann") { id } }');
  expect(data).toEqual({ session: null });
});

it('errors of Python are data', async () => {
  expect(await execute(gateway, 'ann', 'print("before")\n1 / 0')).toMatchObject({
    status: 'ERROR',
    stdout: 'before\n',
    error: { name: 'ZeroDivisionError', value: 'division by zero' },
  });
  expect(await execute(gateway, 'ann', 'def broken(:')).toMatchObject({
    status: 'ERROR',
    error: { name: 'SyntaxError' },
  });
  expect(await execute(gateway, 'ann', '# nothing\n')).toMatchObject({ status: 'OK' });
});

describe.each(TRANSPORTS)('a pool whose workers are all taken, over %s', (_name, send) => {
  it('is POOL_EXHAUSTED after the wait, with a hint when to come back', async () => {
    await execute(gateway, 'ann', '1');
    const before = await countEvents();
    const startedAt = performance.now();
    const { errors } = await send(EXECUTE, {
      input: { userUuid: 'bob', code: '1', waitForWorkerMs: 300 },
    });
    expect(errors?.map(({ extensions }) => extensions)).toEqual([
      expect.objectContaining({ code: 'POOL_EXHAUSTED', retryAfterMs: expect.any(Number) }),
    ]);
    expect(errors?.[0]?.extensions?.retryAfterMs).toBeGreaterThan(0);
    expect(performance.now() - startedAt).toBeGreaterThan(290);
    expect(await countEvents()).toBe(before);
  });
});
