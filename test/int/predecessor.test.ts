/** Every status and text of the predecessor's door, over real HTTP, for each outcome at the service. */
import { describe, expect, it } from 'vitest';
import { DomainError, type ErrorCode } from '../../src/domain/errors.ts';
import type { Execution } from '../../src/domain/execution.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import type { Output, OutputItem } from '../../src/domain/output.ts';
import { createDoors } from '../../src/doors/doors.ts';
import { newId } from '../../src/process/newId.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { executionRow, memoryService } from '../support/memoryService.ts';
import { secretOf, tokensFor } from '../support/testDoor.ts';
import { MAX_BODY_BYTES, serverDeps, startTransport, TOKEN } from '../support/transportServer.ts';

type Parts = NonNullable<Parameters<typeof memoryService>[0]>;

/** A gateway whose executions end as given, with these outputs. */
async function start(
  end: Partial<Execution> = {},
  outputs: readonly Output[] = [],
  parts: Parts = {},
) {
  const asked: ExecuteRequest[] = [];
  const called: unknown[][] = [];
  const record =
    (name: string, value: unknown) =>
    async (_principal: unknown, ...args: unknown[]) => {
      called.push([name, ...args]);
      return value as never;
    };
  const service = memoryService({
    execute: async (_principal, request) => {
      asked.push(request);
      return executionRow({ userUuid: request.userUuid, ...end });
    },
    outputs: async () => items(outputs),
    restartKernel: record('restartKernel', {}),
    release: record('release', null),
    createContext: record('createContext', { id: CONTEXT }),
    contexts: record('contexts', [{ id: CONTEXT, name: 'known' }]),
    deleteContext: record('deleteContext', true),
    ...parts,
  });
  const { logger, config: settings } = serverDeps(service);
  const doors = createDoors(['predecessor'], {
    logger,
    newId,
    newErrorId: newId,
    now: () => new Date(),
    settings,
  });
  const { tokenCache } = tokensFor({ other: 'mcp', wide: null, ann: null }, { ann: 'ann' });
  const started = await startTransport(service, { doors, tokenCache });
  const ask = async (path: string, body?: unknown, headers: Record<string, string> = AUTH) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${started.origin}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      ...(body !== undefined && { body: text }),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  const execute = (code: unknown = '1', headers = AUTH) =>
    ask('/execute', { user_uuid: 'u', code }, headers);
  return { ...started, ask, execute, asked, called };
}

const AUTH = { 'X-Auth-Token': TOKEN };
/** The context that `ann` has for each of her callers' users. */
const CONTEXT = 'the-context' as ContextId;

function items(outputs: readonly Output[]): OutputItem[] {
  const all = [...outputs, { kind: 'finish' } as const];
  const executionId = newId<OutputItem['executionId']>();
  return all.map((output, at) => ({ executionId, seq: at + 1, at: new Date(), output }));
}

const text = (value: string, name: 'stdout' | 'stderr' = 'stdout'): Output => ({
  ...{ kind: 'stream', name, text: value },
});
const rich = (kind: 'result' | 'display' | 'update', data: Record<string, unknown>): Output => ({
  ...{ kind, data, metadata: {}, displayId: null, executionCount: null },
});
const raised: Output = {
  kind: 'error',
  name: 'ZeroDivisionError',
  value: 'by zero',
  traceback: [],
};

describe('POST /execute', () => {
  it.each<[string, Output[], string | null, string | null]>([
    ['nothing', [], '', null],
    ['both streams in order', [text('a\n'), text('b', 'stderr'), text('c')], 'a\nbc', null],
    ['a result', [text('a\n'), rich('result', { 'text/plain': '42' })], 'a\n42', null],
    ['a result in lines', [rich('result', { 'text/plain': ['4\n', '2'] })], '4\n2', null],
    ['a display without an image', [rich('display', { 'text/plain': '<Figure>' })], '', null],
    ['a displayed PNG', [text('a'), rich('display', { 'image/png': 'QUJD\n' })], null, 'QUJD'],
    [
      'the last displayed PNG',
      ['QQ==', 'Qg=='].map((png) => rich('display', { 'image/png': png })),
      null,
      'Qg==',
    ],
    ['a PNG as result', [rich('result', { 'image/png': 'QQ==', 'text/plain': 'i' })], 'i', null],
    ['an updated PNG', [rich('update', { 'image/png': 'QQ==' })], '', null],
  ])('answers with %s', async (_what, outputs, result_text, result_base64) => {
    const { execute } = await start({}, outputs);
    expect(await execute()).toMatchObject({ status: 200, body: { result_text, result_base64 } });
  });

  it.each<[string, Partial<Execution>, Output[], number, string]>([
    [
      'raised',
      { status: 'ERROR' },
      [text('a'), raised],
      400,
      'Python Execution Error: ZeroDivisionError: by zero',
    ],
    [
      'ended without an exception',
      { status: 'ERROR', errorName: 'KernelDied', errorValue: 'gone' },
      [],
      400,
      'Python Execution Error: KernelDied: gone',
    ],
    [
      'was interrupted',
      { status: 'INTERRUPTED' },
      [{ ...raised, name: 'KeyboardInterrupt', value: '' }],
      400,
      'Python Execution Error: KeyboardInterrupt: ',
    ],
    [
      'timed out',
      { status: 'TIMEOUT' },
      [],
      400,
      'Code execution timed out after 10.0 seconds. Environment has been reset.',
    ],
    [
      'timed out at a limit with a fraction',
      { status: 'TIMEOUT', timeoutMs: 2_500 },
      [],
      400,
      'Code execution timed out after 2.5 seconds. Environment has been reset.',
    ],
    [
      'lost its worker',
      { status: 'WORKER_LOST' },
      [],
      504,
      'Gateway Timeout: Could not connect to the execution worker.',
    ],
    [
      'was cancelled',
      { status: 'CANCELLED' },
      [],
      504,
      'Gateway Timeout: Could not connect to the execution worker.',
    ],
  ])('says that code %s', async (_what, end, outputs, status, detail) => {
    const { execute } = await start(end, outputs);
    expect(await execute()).toMatchObject({ status, body: { detail } });
  });

  it('restarts the kernel when code times out, unless the variables are lost already', async () => {
    const kept = await start({ status: 'TIMEOUT' });
    await kept.execute();
    expect(kept.called).toEqual([['restartKernel', 'auth-token:predecessor:u', null]]);
    const lost = await start({ status: 'TIMEOUT', stateLost: true });
    await lost.execute();
    expect(lost.called).toEqual([]);
    const gone = await start({ status: 'TIMEOUT' }, [], {
      restartKernel: async () => {
        throw new DomainError('NOT_FOUND', 'It was released.');
      },
    });
    expect((await gone.execute()).status).toBe(400);
  });

  it('restarts only the kernel of the context in which code times out', async () => {
    const { execute, called } = await start({ status: 'TIMEOUT', contextId: CONTEXT });
    await execute('1', { 'X-Auth-Token': secretOf('ann') });
    expect(called).toEqual([
      ['createContext', { userUuid: 'ann', name: 'u' }],
      ['restartKernel', 'ann', CONTEXT],
    ]);
  });

  it.each<[ErrorCode, Record<string, unknown>, number, unknown]>([
    ['POOL_EXHAUSTED', {}, 503, 'No available workers. Please try again later.'],
    ['QUEUE_FULL', {}, 503, 'No available workers. Please try again later.'],
    ['CONTEXT_LIMIT', {}, 503, 'No available workers. Please try again later.'],
    ['POOL_INITIALIZING', {}, 503, 'Worker pool is initializing. Please try again shortly.'],
    ['WORKER_START_FAILED', {}, 504, 'Gateway Timeout: Could not connect to the execution worker.'],
    ['SHUTTING_DOWN', {}, 504, 'Gateway Timeout: Could not connect to the execution worker.'],
    ['DATABASE_UNAVAILABLE', {}, 503, 'Words.'],
    ['QUOTA_EXCEEDED', {}, 429, 'Words.'],
    ['FORBIDDEN', {}, 403, 'Words.'],
    ['INTERNAL', {}, 500, 'Internal Server Error'],
    [
      'BAD_USER_INPUT',
      { field: 'code' },
      422,
      [{ type: 'value_error', loc: ['body', 'code'], msg: 'Words.', input: null }],
    ],
  ])(
    'answers a refusal of the service in the words of the predecessor: %s',
    async (code, details, status, detail) => {
      const execute = async () => {
        throw new DomainError(code, 'Words.', details);
      };
      const gateway = await start({}, [], { execute });
      expect(await gateway.execute()).toMatchObject({ status, body: { detail } });
    },
  );

  it('masks unexpected errors', async () => {
    const execute = async () => {
      throw new Error('secret');
    };
    const gateway = await start({}, [], { execute });
    const { status, body } = await gateway.execute();
    expect([status, body]).toEqual([500, { detail: 'Internal Server Error' }]);
  });

  it('runs empty code, and asks for no time limit', async () => {
    const { execute, asked } = await start();
    expect((await execute('')).status).toBe(200);
    const user = 'auth-token:predecessor:u';
    const request = { userUuid: user, contextId: null, code: '\n', waitForWorkerMs: 15_000 };
    expect(asked).toEqual([request]);
  });
});

describe('a body that is not understood', () => {
  const object = 'Input should be a valid dictionary or object to extract fields from';

  it.each<[string, unknown, unknown[]]>([
    ['no field', {}, ['user_uuid', 'code'].map((name) => missing(name, {}))],
    ['no code', { user_uuid: 'u' }, [missing('code', { user_uuid: 'u' })]],
    [
      'a number',
      { user_uuid: 'u', code: 5 },
      [
        {
          type: 'string_type',
          loc: ['body', 'code'],
          msg: 'Input should be a valid string',
          input: 5,
        },
      ],
    ],
    [
      'null',
      { user_uuid: null, code: '1' },
      [
        {
          type: 'string_type',
          loc: ['body', 'user_uuid'],
          msg: 'Input should be a valid string',
          input: null,
        },
      ],
    ],
    ['a list', [1], [{ type: 'model_attributes_type', loc: ['body'], msg: object, input: [1] }]],
    [
      'no JSON',
      '{"user_uuid":',
      [
        {
          type: 'json_invalid',
          loc: ['body', 0],
          msg: 'JSON decode error',
          input: {},
          ctx: { error: 'Expecting value' },
        },
      ],
    ],
    ['nothing', '', [{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }]],
  ])('is answered with 422: %s', async (_what, body, detail) => {
    const { ask, asked } = await start();
    const answer = await ask('/execute', body);
    expect([answer.status, answer.body]).toEqual([422, { detail }]);
    expect(asked).toEqual([]);
  });

  it('may also be one of another media type, or one that is too large', async () => {
    const { ask } = await start();
    const form = { ...AUTH, 'Content-Type': 'text/plain' };
    expect(await ask('/execute', '{}', form)).toMatchObject({
      status: 422,
      body: { detail: [{ type: 'model_attributes_type', input: '{}' }] },
    });
    expect((await ask('/execute', 'x'.repeat(MAX_BODY_BYTES + 1))).status).toBe(413);
  });
});

function missing(name: string, input: unknown) {
  return { type: 'missing', loc: ['body', name], msg: 'Field required', input };
}

describe('the token', () => {
  it.each(['/execute', '/release', '/status'])('is needed at %s', async (path) => {
    const { ask, asked, called } = await start();
    const body = path === '/status' ? undefined : { user_uuid: 'u', code: '1' };
    const header = {
      type: 'missing',
      loc: ['header', 'x-auth-token'],
      msg: 'Field required',
      input: null,
    };
    expect(await ask(path, body, {})).toMatchObject({ status: 422, body: { detail: [header] } });
    const bearer = { Authorization: `Bearer ${TOKEN}` };
    expect((await ask(path, body, bearer)).status).toBe(422);
    const wrong = { 'X-Auth-Token': 'wrong' };
    const detail = 'Invalid or missing authentication token';
    expect(await ask(path, body, wrong)).toMatchObject({ status: 401, body: { detail } });
    const other = { 'X-Auth-Token': secretOf('other') };
    expect(await ask(path, body, other)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('mcp only') },
    });
    expect([...asked, ...called]).toEqual([]);
  });

  it('determines the session: each token has sessions of its own', async () => {
    const { execute, asked, called, ask } = await start();
    await execute('1', { 'X-Auth-Token': secretOf('wide') });
    await execute('1', { 'X-Auth-Token': secretOf('ann') });
    const own = { user_uuid: 'ann', code: '1' };
    await ask('/execute', own, { 'X-Auth-Token': secretOf('ann') });
    expect(asked.map(({ userUuid, contextId }) => [userUuid, contextId])).toEqual([
      ['wide:predecessor:u', null],
      ['ann', CONTEXT],
      ['ann', null],
    ]);
    expect(called).toEqual([['createContext', { userUuid: 'ann', name: 'u' }]]);
  });
});

describe('POST /release', () => {
  const said = (user: string) => ({
    status: 200,
    body: { status: 'ok', detail: `Worker for user ${user} has been released.` },
  });

  it('ends the session, and answers the same if there was none', async () => {
    const { ask, called } = await start();
    expect(await ask('/release', { user_uuid: 'u' })).toMatchObject(said('u'));
    expect(called).toEqual([['release', 'auth-token:predecessor:u']]);
    expect((await ask('/release', {})).status).toBe(422);
  });

  it('ends a context of the user that the token is for', async () => {
    const { ask, called } = await start();
    const ann = { 'X-Auth-Token': secretOf('ann') };
    expect(await ask('/release', { user_uuid: 'known' }, ann)).toMatchObject(said('known'));
    expect(await ask('/release', { user_uuid: 'unknown' }, ann)).toMatchObject(said('unknown'));
    expect(await ask('/release', { user_uuid: 'ann' }, ann)).toMatchObject(said('ann'));
    expect(called.filter(([name]) => name !== 'contexts')).toEqual([
      ['deleteContext', 'ann', CONTEXT],
      ['release', 'ann'],
    ]);
  });
});

it('GET /status gives the numbers of workers', async () => {
  const { ask } = await start();
  expect(await ask('/status')).toMatchObject({
    status: 200,
    body: { total_workers: 3, busy_workers: 1, idle_workers_in_pool: 2, is_initializing: false },
  });
});

it.each([
  ['/execute', 'GET', 405, 'POST'],
  ['/release', 'GET', 405, 'POST'],
  ['/status', 'POST', 405, 'GET'],
  ['/status/more', 'GET', 404, null],
])('%s by %s is answered with %i, without a token', async (path, method, status, allow) => {
  const { ask } = await start();
  const answer = await ask(path, method === 'POST' ? {} : undefined, {});
  expect([answer.status, answer.headers.get('allow')]).toEqual([status, allow]);
  expect(answer.body).toEqual({ detail: status === 404 ? 'Not Found' : 'Method Not Allowed' });
});
