/**
 * Calls of envd's methods over real HTTP: frames, codes, keepalives, time limits. The methods are made for this test.
 */
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { serveEnvd, serveRpc } from '../../src/doors/e2b/envd/routes.ts';
import { RpcError, type RpcMethods, textIn } from '../../src/doors/e2b/envd/rpc.ts';
import type { DoorDeps } from '../../src/doors/openDoor.ts';
import { newId } from '../../src/process/newId.ts';
import { allFrames, frameOf, framesOf, startEnvd } from '../support/e2b/envd.ts';
import { MAX_BODY_BYTES } from '../support/transportServer.ts';

/** How many pieces of 1 MiB are sent: more than all buffers between server and client hold. */
const MANY = 64;
const PIECE = 'x'.repeat(1_048_576);

async function start(hasEnded = false) {
  const logged: unknown[] = [];
  const logger = { error: (facts: unknown) => logged.push(facts) } as unknown as DoorDeps['logger'];
  const gone: AbortSignal[] = [];
  const sent: number[] = [];
  const methods: RpcMethods = {
    'a.A/Echo': {
      kind: 'unary',
      handle: async ({ userUuid }, message) => ({ text: textIn(message, 'text'), userUuid }),
    },
    'a.A/Fail': { kind: 'unary', handle: async (_, { as }) => Promise.reject(ERRORS[String(as)]) },
    'a.A/Count': {
      kind: 'stream',
      keepalive: { keepalive: {} },
      handle: async (_, message, out) => {
        for (const n of [1, 2, 3]) await out.send({ n });
        if ('as' in message) throw ERRORS[String(message.as)];
      },
    },
    'a.A/FailStream': {
      kind: 'stream',
      keepalive: {},
      handle: (_, { as }) => Promise.reject(ERRORS[String(as)]),
    },
    'a.A/Wait': {
      kind: 'stream',
      keepalive: { keepalive: {} },
      handle: async (_, _message, out) => {
        gone.push(out.gone);
        await out.send({ timeoutMs: out.timeoutMs });
        if (!out.gone.aborted) await once(out.gone, 'abort');
        await out.send({ late: true });
      },
    },
    'a.A/Flood': {
      kind: 'stream',
      keepalive: { keepalive: {} },
      handle: async (_, _message, out) => {
        for (let n = 1; n <= MANY && !out.gone.aborted; n += 1) {
          await out.send({ piece: PIECE });
          sent.push(n);
        }
      },
    },
  };
  const name = (path: string) => path.slice(1);
  const server = await startEnvd(
    (call) => serveRpc(call, { logger, newErrorId: newId }, methods, name(call.call.path)),
    { hasEnded: async () => hasEnded },
  );
  return { ...server, logged, gone, sent };
}

const ERRORS: Readonly<Record<string, Error>> = {
  rpc: new RpcError('not_found', 'no such thing'),
  file: new DomainError('FILE_NOT_FOUND', '"a" does not exist.'),
  exists: new DomainError('FILE_EXISTS', '"a" exists already.'),
  input: new DomainError('BAD_USER_INPUT', 'text is too long.'),
  busy: new DomainError('FILES_BUSY', '"a" must wait.'),
  ended: new DomainError('SESSION_ENDED', 'The session has ended.'),
  gone: new DomainError('NOT_FOUND', 'There is no open session.'),
  defect: new Error('a secret of the gateway'),
};

describe('a unary call', () => {
  it('is answered with one message as JSON', async () => {
    const { unary, streams } = await start();
    const { status, type, body } = await unary('a.A/Echo', { text: 'é\u2028' });
    expect([status, type, body]).toEqual([
      200,
      'application/json',
      { text: 'é\u2028', userUuid: expect.any(String) },
    ]);
    expect(streams()).toBe(0);
  });

  it.each([
    ['rpc', 404, 'not_found', 'no such thing'],
    ['file', 404, 'not_found', '"a" does not exist.'],
    ['exists', 409, 'already_exists', '"a" exists already.'],
    ['input', 400, 'invalid_argument', 'text is too long.'],
    ['busy', 429, 'resource_exhausted', '"a" must wait.'],
  ])('that fails (%s) has the status of its code', async (as, status, code, message) => {
    const { unary } = await start();
    const answer = await unary('a.A/Fail', { as });
    expect(answer).toEqual({ status, type: 'application/json', body: { code, message } });
  });

  it('that fails unexpectedly is logged, and its error is masked', async () => {
    const { unary, logged } = await start();
    const { status, body } = await unary('a.A/Fail', { as: 'defect' });
    expect([status, body]).toEqual([
      500,
      { code: 'internal', message: expect.stringMatching(/^Internal error \(.{36}\)\.$/) },
    ]);
    expect(logged).toEqual([expect.objectContaining({ err: ERRORS.defect })]);
  });

  it('whose sandbox has ended is answered by the door', async () => {
    const { unary } = await start(true);
    expect((await unary('a.A/Fail', { as: 'ended' })).body).toMatchObject({ code: 409 });
    expect((await unary('a.A/Fail', { as: 'rpc' })).body).toMatchObject({ code: 409 });
  });

  it.each([
    ['{', 'The message is no JSON.'],
    ['', 'The message is no JSON.'],
    ['[]', 'The message must be a JSON object.'],
    ['{"text":1}', 'text must be a string.'],
  ])('with the body %j is refused', async (body, message) => {
    const { ask } = await start();
    const headers = { 'Content-Type': 'application/json; charset=utf-8' };
    const answer = await ask('/a.A/Echo', { method: 'POST', body, headers });
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { code: 'invalid_argument', message },
    ]);
  });

  it('of an unknown method is unimplemented', async () => {
    const { unary } = await start();
    expect(await unary('a.A/Nothing')).toMatchObject({
      status: 501,
      body: { code: 'unimplemented' },
    });
    expect(await unary('constructor')).toMatchObject({ status: 501 });
  });

  it('that is compressed is unimplemented', async () => {
    const { unary } = await start();
    expect(await unary('a.A/Echo', {}, { 'Content-Encoding': 'gzip' })).toMatchObject({
      status: 501,
      body: { code: 'unimplemented' },
    });
  });

  it('is refused for any user but the worker’s', async () => {
    const { unary } = await start();
    const as = (name: string) => ({ Authorization: `Basic ${btoa(`${name}:`)}` });
    expect((await unary('a.A/Echo', {}, as('user'))).status).toBe(200);
    const { status, body } = await unary('a.A/Echo', {}, as('root'));
    expect([status, body]).toEqual([401, { code: 'unauthenticated', message: 'invalid username' }]);
  });

  it('in another format, or by another verb, is refused', async () => {
    const { ask } = await start();
    const proto = { 'Content-Type': 'application/proto' };
    const answer = await ask('/a.A/Echo', { method: 'POST', body: 'x', headers: proto });
    expect([answer.status, answer.headers.get('accept-post')]).toEqual([
      415,
      'application/json, application/connect+json',
    ]);
    const get = await ask('/a.A/Echo');
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    const stream = { 'Content-Type': 'application/connect+json' };
    expect((await ask('/a.A/Echo', { method: 'POST', body: '', headers: stream })).status).toBe(
      415,
    );
  });
});

describe('a stream', () => {
  it('has each message in a frame, and a last one', async () => {
    const { stream, streams } = await start();
    const answer = await stream('a.A/Count');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'application/connect+json',
    ]);
    expect(await allFrames(answer)).toEqual([
      { flags: 0, message: { n: 1 } },
      { flags: 0, message: { n: 2 } },
      { flags: 0, message: { n: 3 } },
      { flags: 2, message: {} },
    ]);
    expect(streams()).toBe(1);
  });

  it.each(['a.A/Count', 'a.A/FailStream'])('has an error in its last frame: %s', async (name) => {
    const { stream } = await start();
    const answer = await stream(name, { as: 'file' });
    expect(answer.status).toBe(200);
    expect((await allFrames(answer)).at(-1)).toEqual({
      flags: 2,
      message: { error: { code: 'not_found', message: '"a" does not exist.' } },
    });
  });

  it('whose sandbox has ended before the first frame is answered by the door', async () => {
    const { stream } = await start(true);
    const answer = await stream('a.A/FailStream', { as: 'gone' });
    expect([answer.status, await answer.json()]).toEqual([
      404,
      expect.objectContaining({ code: 404 }),
    ]);
  });

  it.each([{ as: 'ended' }, {}])('whose sandbox ends later breaks off: %j', async (message) => {
    const { stream } = await start(true);
    const answer = await stream('a.A/Count', message);
    await expect(allFrames(answer)).rejects.toThrow();
  });

  it.each([
    ['no frame', new Uint8Array(), 'invalid_argument'],
    ['half a frame', frameOf({}).slice(0, 6), 'invalid_argument'],
    ['two frames', Buffer.concat([frameOf({}), frameOf({})]), 'invalid_argument'],
    ['an end', frameOf({}, 2), 'invalid_argument'],
    ['a compressed frame', frameOf({}, 1), 'unimplemented'],
  ])('for a body with %s ends with an error', async (_what, body, code) => {
    const { ask } = await start();
    const headers = { 'Content-Type': 'application/connect+json' };
    const answer = await ask('/a.A/Count', { method: 'POST', body, headers });
    expect([answer.status, await allFrames(answer)]).toEqual([
      200,
      [{ flags: 2, message: { error: { code, message: expect.any(String) } } }],
    ]);
  });

  it('of an unknown method, or for another user, ends with an error', async () => {
    const { stream } = await start();
    const ends = async (...asked: Parameters<typeof stream>) =>
      (await allFrames(await stream(...asked))).at(-1)?.message;
    expect(await ends('a.A/Nothing')).toMatchObject({ error: { code: 'unimplemented' } });
    const root = { Authorization: `Basic ${btoa('root:')}` };
    expect(await ends('a.A/Count', {}, root)).toEqual({
      error: { code: 'unauthenticated', message: 'invalid username' },
    });
    expect(await ends('a.A/Count', {}, { 'Connect-Timeout-Ms': '0' })).toEqual({});
    expect(await ends('a.A/Count', {}, { 'Connect-Timeout-Ms': '-1' })).toMatchObject({
      error: { code: 'invalid_argument' },
    });
  });

  it('has a keepalive when nothing else is sent', async () => {
    const { stream } = await start();
    const frames = framesOf(await stream('a.A/Wait', {}, { 'Keepalive-Ping-Interval': '1' }));
    expect((await frames.next()).value).toEqual({ flags: 0, message: { timeoutMs: null } });
    expect((await frames.next()).value).toEqual({ flags: 0, message: { keepalive: {} } });
    expect((await frames.next()).value).toEqual({ flags: 0, message: { keepalive: {} } });
    await frames.return(undefined);
  });

  it('ends at the time limit of the caller', async () => {
    const { stream, gone } = await start();
    const answer = await stream('a.A/Wait', {}, { 'Connect-Timeout-Ms': '100' });
    expect(await allFrames(answer)).toEqual([
      { flags: 0, message: { timeoutMs: 100 } },
      {
        flags: 2,
        message: { error: { code: 'deadline_exceeded', message: expect.stringMatching('100 ms') } },
      },
    ]);
    expect(gone[0]?.aborted).toBe(true);
  });

  it('aborts the signal of its method when the caller goes away', async () => {
    const { stream, gone } = await start();
    const frames = framesOf(await stream('a.A/Wait'));
    await frames.next();
    await frames.return(undefined);
    const [signal] = gone;
    if (signal && !signal.aborted) await once(signal, 'abort');
    expect(signal?.aborted).toBe(true);
  });

  it('is sent as fast as the caller reads', async () => {
    const { stream, sent } = await start();
    const answer = await stream('a.A/Flood');
    const frames = framesOf(answer);
    await frames.next();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent.length).toBeLessThan(MANY);
    let read = 1;
    for await (const { flags } of frames) if (flags === 0) read += 1;
    expect([read, sent.length]).toEqual([MANY, MANY]);
  });
});

it('a body above the limit is refused', async () => {
  const { unary } = await start();
  const answer = await unary('a.A/Echo', { text: 'x'.repeat(MAX_BODY_BYTES) });
  expect(answer.status).toBe(413);
});

describe('envd', () => {
  const deps = {} as DoorDeps;

  it('answers health checks', async () => {
    const { ask } = await startEnvd((call) => serveEnvd(call, deps));
    expect((await ask('/health')).status).toBe(204);
    expect((await ask('/health', { method: 'POST' })).status).toBe(405);
  });

  it('answers unknown paths with an error in JSON', async () => {
    const { ask, unary } = await startEnvd((call) => serveEnvd(call, deps));
    const answer = await ask('/nothing');
    expect([answer.status, await answer.json()]).toEqual([
      404,
      { code: 404, message: 'There is no /nothing here.' },
    ]);
    expect((await unary('nothing.Nothing/Nothing')).status).toBe(501);
  });
});
