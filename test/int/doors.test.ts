/** What the server checks before a door gets a request: token, Host and Origin. No token is logged. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { DomainError } from '../../src/domain/errors.ts';
import type { OpenDoor } from '../../src/doors/openDoor.ts';
import { until } from '../../testkit/until.ts';
import { memoryService } from '../support/memoryService.ts';
import { closed, type Seen, secretOf, testDoor, tokensFor } from '../support/testDoor.ts';
import {
  MAX_BODY_BYTES,
  startTransport,
  TOKEN,
  type TransportOptions,
} from '../support/transportServer.ts';

const MINE = secretOf('mine');

async function start(options: TransportOptions = {}) {
  const door: OpenDoor & Seen = testDoor();
  const { tokenCache, endings } = tokensFor({ mine: 'mcp', all: null, other: 'jupyter' });
  const started = await startTransport(memoryService(), { doors: [door], tokenCache, ...options });
  const ask = (path: string, headers: Record<string, string> = {}, method = 'POST', body = '') =>
    send(started.port, { path, headers, method, body });
  return { ...started, door, endings, ask };
}

interface Sent {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly method: string;
  readonly body: string;
}

/** `fetch` does not let a caller choose `Host` and `Origin`. */
async function send(port: number, { path, headers, method, body }: Sent) {
  const sent = request({ port, path, method, headers });
  sent.end(body);
  const answer = await new Promise<import('node:http').IncomingMessage>((resolve, reject) =>
    sent.on('response', resolve).on('error', reject),
  );
  const answered = await text(answer);
  const json = () => JSON.parse(answered) as Record<string, unknown>;
  return { status: answer.statusCode, headers: answer.headers, text: answered, json };
}

describe('a token', () => {
  it.each([
    ['in the path', `/t/${MINE}/here/a%20b?x=1&y=2`, {}],
    ['as X-Auth-Token', '/here/a%20b?x=1&y=2', { 'X-Auth-Token': MINE }],
    ['as Authorization: Bearer', '/here/a%20b?x=1&y=2', { Authorization: `Bearer ${MINE}` }],
    ['as authorization: TOKEN', '/here/a%20b?x=1&y=2', { authorization: `TOKEN ${MINE}` }],
    ['as X-API-Key', '/here/a%20b?x=1&y=2', { 'X-API-Key': MINE }],
    ['in the query', `/here/a%20b?x=1&token=${MINE}&y=2`, {}],
  ])(
    'is accepted %s, and the door gets no URL that contains the token',
    async (_where, path, headers) => {
      const { ask } = await start();
      const answer = await ask(path, headers, 'POST', 'körper');
      expect(answer.json()).toEqual({
        path: '/a%20b',
        query: 'x=1&y=2',
        url: '/here/a%20b?x=1&y=2',
        ...{ tokenId: 'mine', door: 'mcp', body: 'körper' },
      });
    },
  );

  it('is accepted at each mount', async () => {
    const { ask } = await start();
    const path = async (url: string) => (await ask(url)).json().path;
    expect(await path(`/t/${MINE}/here`)).toBe('');
    expect(await path(`/t/${MINE}/alias/b`)).toBe('/inside/b');
  });

  it.each([
    ['none', '/here', {}, 401, /A token is needed.*\/t\/<token>/],
    ['an empty one', '/t//here', {}, 401, /A token is needed/],
    ['a wrong one', '/here', { 'X-API-Key': secretOf('wrong') }, 401, /wrong/],
    ['a wrong one in the path', '/t/wrong/here', {}, 401, /wrong/],
    ['one of another scheme', '/here', { Authorization: `Basic ${MINE}` }, 401, /needed/],
    ['one for another door', '/here', { 'X-Auth-Token': secretOf('other') }, 403, /jupyter only/],
    ['AUTH_TOKEN in the path', `/t/${TOKEN}/here`, {}, 403, /AUTH_TOKEN never goes into a URL/],
    ['AUTH_TOKEN in the query', `/here?token=${TOKEN}`, {}, 403, /AUTH_TOKEN never/],
    ['one for all doors in a URL', `/t/${secretOf('all')}/here`, {}, 403, /for mcp only/],
  ])('is refused: %s', async (_what, path, headers, status, message) => {
    const { ask, door } = await start();
    const answer = await ask(path, headers);
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({
      form: 'of the test',
      message: expect.stringMatching(message),
    });
    if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(door.calls).toEqual([]);
  });

  it('may also be AUTH_TOKEN or a token for all doors, if it is in a header', async () => {
    const { ask } = await start();
    const who = async (secret: string) => (await ask('/here', { 'X-Auth-Token': secret })).json();
    expect(await who(TOKEN)).toMatchObject({ tokenId: 'auth-token', door: 'mcp' });
    expect(await who(secretOf('all'))).toMatchObject({ tokenId: 'all', door: 'mcp' });
  });

  it('is not needed at a path that the door opens to everybody', async () => {
    const { ask } = await start();
    expect((await ask('/here/open', {}, 'GET')).text).toBe('open');
    expect((await ask('/t/wrong/here/open', {}, 'GET')).text).toBe('open');
  });

  it('in a path is accepted at doors only', async () => {
    const { ask } = await start();
    for (const path of ['/graphql', '/metrics', '/livez', '/', '/files/ann/x']) {
      const answer = await ask(`/t/${MINE}${path}`, { 'X-Auth-Token': TOKEN }, 'GET');
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });

  it('is in no log line, error or metric', async () => {
    const { ask, door, log } = await start();
    const secrets = [MINE, TOKEN, secretOf('wrong'), 'a%2Fb'];
    door.answer = async () => {
      throw new Error('unexpected');
    };
    const answers = await Promise.all(
      secrets.flatMap((secret) => [
        ask(`/t/${secret}/here/x`),
        ask(`/here?token=${secret}`),
        ask(`/t/${secret}/nowhere`),
        ask(`/t/${secret}/graphql?token=${secret}`),
      ]),
    );
    const metrics = await ask('/metrics', { 'X-Auth-Token': TOKEN }, 'GET');
    expect(metrics.text).toMatch(/cellhouse_door_answers_total\{door="mcp",status="500"\} 2/);
    expect(log.filter(({ msg }) => msg === 'Answering a request to a door failed.')).toHaveLength(
      2,
    );
    const said = [
      JSON.stringify(log),
      metrics.text,
      ...answers.map((answer) => answer.text),
    ].join();
    for (const secret of secrets) expect(said).not.toContain(secret);
  });
});

describe('Host and Origin', () => {
  const token = { 'X-Auth-Token': MINE };

  it.each([
    ['127.0.0.1:1', undefined, 200],
    ['[::1]', undefined, 200],
    ['192.168.1.7', undefined, 200],
    ['localhost:3874', 'http://localhost:3874', 200],
    ['LocalHost', undefined, 200],
    ['evil.example.com', undefined, 403],
    ['evil.example.com', 'http://evil.example.com', 403],
    ['localhost.evil.example.com', undefined, 403],
    ['localhost', 'http://evil.example.com', 403],
    ['localhost', 'null', 403],
    ['localhost', 'https://page.example.com', 200],
  ])('on loopback: %s, %s: %i', async (host, origin, status) => {
    const { ask, door } = await start({ config: { corsOrigins: ['https://page.example.com'] } });
    const answer = await ask('/here', { ...token, host, ...(origin && { origin }) });
    expect(answer.status).toBe(status);
    expect(door.calls).toHaveLength(status === 200 ? 1 : 0);
    if (status === 403)
      expect(answer.json()).toMatchObject({ form: 'of the test', code: 'FORBIDDEN' });
  });

  it.each([
    [null, 'any.example.com', 200],
    [['code.example.com'], 'code.example.com:443', 200],
    [['code.example.com'], 'other.example.com', 403],
    [['code.example.com'], '10.0.0.1', 200],
    [['*'], 'any.example.com', 200],
  ])('on another address, with ALLOWED_HOSTS %j: %s: %i', async (allowedHosts, host, status) => {
    const config = { host: '0.0.0.0', allowedHosts };
    const { ask } = await start({ config });
    expect((await ask('/here', { ...token, host })).status).toBe(status);
  });

  it('answers preflights of known origins without a token', async () => {
    const { ask } = await start({ config: { corsOrigins: ['https://page.example.com'] } });
    const answer = await ask('/here', { origin: 'https://page.example.com' }, 'OPTIONS');
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://page.example.com',
      'access-control-allow-headers': 'x-api-key',
    });
  });
});

describe('a request', () => {
  const token = { 'X-Auth-Token': MINE };

  it('is refused in the form of the door when its body is too large', async () => {
    const { ask, door } = await start();
    const answer = await ask('/here', token, 'POST', 'x'.repeat(MAX_BODY_BYTES + 1));
    expect([answer.status, answer.json().form]).toEqual([413, 'of the test']);
    expect(door.calls).toHaveLength(1);
  });

  it('fails with the message of an expected error, and with "Internal error" for any other', async () => {
    const { ask, door, log } = await start();
    door.answer = async () => {
      throw new DomainError('POOL_EXHAUSTED', 'Full.', { retryAfterMs: 1_500 });
    };
    const full = await ask('/here', token);
    expect([full.status, full.headers['retry-after'], full.json().message]).toEqual([
      503,
      '2',
      'Full.',
    ]);
    door.answer = async () => {
      throw new Error('secret');
    };
    const failed = await ask('/here', token);
    expect([failed.status, failed.json().message]).toEqual([500, 'Internal error']);
    expect(log).toHaveLength(1);
  });

  it('finds no door that is closed', async () => {
    const { ask } = await start({ doors: [] });
    expect((await ask('/here', token)).status).toBe(404);
    expect((await ask(`/t/${MINE}/here`)).status).toBe(404);
  });

  it.each(['the client', 'the token', 'the gateway'] as const)(
    'ends early when %s goes, and the door learns whether it was the client or the gateway',
    async (who) => {
      const { port, door, server, endings } = await start();
      let begun = () => {};
      const isBegun = new Promise<void>((resolve) => {
        begun = resolve;
      });
      door.answer = async ({ res, onStream }) => {
        res.write('a beginning');
        onStream();
        begun();
      };
      const sent = request({ port, path: '/here', headers: token });
      sent.on('error', () => undefined).on('response', (res) => res.on('error', () => undefined));
      sent.end();
      await isBegun;
      const [call] = door.calls;
      if (!call) throw new Error('The door was not called.');
      let isTold = false;
      call.stopping.on(() => {
        isTold = true;
      });
      if (who === 'the client') sent.destroy();
      if (who === 'the token') endings.mine?.end();
      if (who === 'the gateway') await server.close();
      await closed(call);
      expect(call.gone.aborted).toBe(who === 'the client');
      expect(isTold).toBe(who === 'the gateway');
    },
  );

  it('is not counted as answered if its client leaves before the answer', async () => {
    const { door, port, origin } = await start();
    const left = request({ port, path: '/here', method: 'POST', headers: { 'X-API-Key': MINE } });
    left.on('error', () => {});
    let isOver: Promise<void> | null = null;
    const isHere = new Promise<void>((resolve) => {
      door.answer = async (call) => {
        isOver = closed(call);
        resolve();
      };
    });
    left.end();
    await isHere;
    left.destroy();
    await isOver;
    const metrics = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
    expect(await metrics.text()).not.toContain('cellhouse_door_answers_total{');
  });

  it('does not report its client as gone if the server cuts the connection because the client reads nothing', async () => {
    const { port, door } = await start({ config: { slowReaderTimeoutMs: 300 } });
    door.answer = async ({ res, onStream }) => {
      onStream();
      res.write('x'.repeat(20_000_000));
    };
    const sent = request({ port, path: '/here', headers: token });
    sent
      .on('error', () => undefined)
      .on('response', (res) => void res.pause().on('error', () => {}));
    sent.end();
    await until('the door is called', async () => door.calls.length === 1);
    const [call] = door.calls;
    if (!call) throw new Error('The door was not called.');
    await closed(call);
    expect(call.gone.aborted).toBe(false);
  });
});

describe('a WebSocket', () => {
  const connect = (port: number, path: string, headers: Record<string, string> = {}) =>
    new WebSocket(`ws://127.0.0.1:${port}${path}`, ['other.protocol', 'test.protocol'], {
      headers,
    });

  /** Resolves with the HTTP status of the refused upgrade. */
  const refusedWith = (socket: WebSocket) =>
    new Promise((resolve, reject) => {
      socket.on('unexpected-response', (_req, res) => resolve(res.statusCode)).on('open', reject);
    });
  const closedWith = (socket: WebSocket) =>
    new Promise((resolve, reject) => {
      socket.on('close', resolve).on('error', reject);
    });

  it.each([
    ['/here', {}, 401],
    ['/t/wrong/here', {}, 401],
    [`/here?token=${TOKEN}`, {}, 403],
    [`/t/${MINE}/here`, { Origin: 'http://evil.example.com' }, 403],
    [`/t/${MINE}/here`, { Host: 'evil.example.com' }, 403],
    [`/t/${MINE}/nowhere`, {}, 404],
  ])('is refused: %s %j: %i', async (path, headers, status) => {
    const { port, door } = await start();
    expect(await refusedWith(connect(port, path, headers))).toBe(status);
    expect(door.sockets).toEqual([]);
  });

  it('carries text and bytes both ways, with the protocol that the door chose', async () => {
    const { port, door } = await start();
    const socket = connect(port, `/here?token=${MINE}`);
    const got: unknown[] = [];
    socket.on('message', (data, isBinary) => got.push([isBinary, String(data)]));
    socket.on('open', () => {
      socket.send('text');
      socket.send(Buffer.from('bytes'));
    });
    await until('both came back', async () => got.length === 2);
    expect(got).toEqual([
      [false, 'text'],
      [true, 'bytes'],
    ]);
    expect([socket.protocol, door.sockets[0]?.protocol]).toEqual([
      'test.protocol',
      'test.protocol',
    ]);
    socket.close();
  });

  it.each([
    ['1008 when its token ends', 'token', 1008],
    ['1012 when the gateway stops', 'gateway', 1012],
    ['1009 for a message that is too large', 'message', 1009],
  ])('is closed with %s', async (_what, cause, code) => {
    const { port, door, server, endings } = await start();
    const socket = connect(port, `/t/${MINE}/here`);
    const closing = closedWith(socket);
    const isOpen = async () => door.sockets.length === 1 && socket.readyState === socket.OPEN;
    await until('it is open on both sides', isOpen);
    if (cause === 'token') endings.mine?.end();
    if (cause === 'gateway') await server.close();
    if (cause === 'message') socket.send('x'.repeat(MAX_BODY_BYTES + 1));
    expect(await closing).toBe(code);
    await until('the door knows', async () => door.sockets[0]?.isOpen === false);
  });

  it('holds messages back while the validity of its token is unknown, up to the size of one message', async () => {
    let isKnown = () => {};
    let known: Promise<void> | null = null;
    const { tokenCache } = tokensFor({ mine: 'mcp' }, {}, () => known);
    const { port, door } = await start({ tokenCache });
    const socket = connect(port, `/t/${MINE}/here`);
    const got: string[] = [];
    socket.on('message', (data) => got.push(String(data)));
    const closing = closedWith(socket);
    await until('it is open', async () => socket.readyState === socket.OPEN);
    known = new Promise((resolve) => {
      isKnown = resolve;
    });
    socket.send('a');
    socket.send('x'.repeat(MAX_BODY_BYTES - 1));
    socket.ping();
    await new Promise((resolve) => socket.once('pong', resolve));
    expect(got).toEqual([]);
    known = null;
    isKnown();
    await until('both came back', async () => got.length === 2);
    expect(got.map(({ length }) => length)).toEqual([1, MAX_BODY_BYTES - 1]);
    known = new Promise(() => {});
    socket.send('x'.repeat(MAX_BODY_BYTES));
    socket.send('a');
    expect(await closing).toBe(1013);
    expect(door.sockets[0]?.isOpen).toBe(false);
  });
});
