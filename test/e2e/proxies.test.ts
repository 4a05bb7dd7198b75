/** nginx and Caddy in front of a gateway, by the recipes of docs/run/proxy.md. What takes minutes is in proxiesLong. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { PROXY_CHECKS } from '../../src/doctor/proxy.ts';
import { SERVED_DOORS } from '../../src/domain/token.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { e2bKey } from '../support/e2b/sdks.ts';
import { HOSTILE_ROWS } from '../support/hostileDoors.ts';
import { jupyterToken } from '../support/jupyterClient.ts';
import {
  ask,
  clock,
  followByEvents,
  followBySocket,
  graphqlCall,
  type Http2,
  http1Of,
  http2Of,
  type Open,
  socketOf,
  type TlsCall,
} from '../support/tlsCalls.ts';
import { HOST_NAME, PROXIES, startTlsProxy, type TlsProxy } from '../support/tlsProxy.ts';

const MIB = 1_048_576;
const MAX_BODY_MIB = 4;
const MAX_FILE_MIB = 32;
const FAILURES_PER_MINUTE = 5;
/** Calls at the same time on one HTTP/2 connection. Both proxies allow more. */
const CALLS_AT_ONCE = 100;
/**
 * The median delay of items of output. On a busy machine, a proxy that buffers nothing stays far below, and one that
 * buffers until the end of the code is far above.
 */
const MAX_DELAY_MS = 1_000;
const [LINES, EVERY_SECONDS] = [6, 0.6];
/** `lb_try_duration` */
const CADDY_WAITS_MS = 5_000;
const CLIENTS = new URL('../support/clientsOverTls.mjs', import.meta.url).pathname;

interface Route {
  readonly proxy: TlsProxy;
  readonly http1: Open;
  readonly http2: Http2;
}

let gateway: TestGateway;
const routes = new Map<string, Route>();
const route = (name: string): Route => {
  const found = routes.get(name);
  if (!found) throw new Error(`${name} has not started.`);
  return found;
};
/** Tokens of all kinds that go through the proxies. */
const secrets = new Set<string>();

beforeAll(async () => {
  gateway = await startTestGateway({
    MIN_IDLE_WORKERS: '1',
    DOORS: SERVED_DOORS.join(','),
    ALLOWED_HOSTS: HOST_NAME,
    TRUSTED_PROXIES: '127.0.0.1',
    AUTH_FAILURES_PER_MINUTE: String(FAILURES_PER_MINUTE),
    MAX_BODY_BYTES: String(MAX_BODY_MIB * MIB),
    MAX_FILE_BYTES: String(MAX_FILE_MIB * MIB),
  });
  secrets.add(gateway.token);
  await Promise.all(
    PROXIES.map(async (name) => {
      const proxy = await startTlsProxy(name, gateway.port);
      routes.set(name, { proxy, http1: http1Of(proxy), http2: http2Of(proxy) });
    }),
  );
});
afterAll(async () => {
  for (const { proxy, http2 } of routes.values()) {
    http2.close();
    await proxy.end();
  }
  await gateway?.destroy();
});

const bytes = (mib: number) =>
  Readable.from(
    Array.from({ length: mib }, () => Buffer.alloc(MIB, 'x')),
    { objectMode: false, highWaterMark: MIB },
  );
const upload = (path: string, body: Readable, headers: Record<string, string> = {}): TlsCall => ({
  ...{ method: 'PUT', path: `/files/${path}`, body },
  headers: { 'x-auth-token': gateway.token, ...headers },
});

function protocolsOf(name: string) {
  const { http1, http2 } = route(name);
  return [
    ['HTTP/1.1', http1],
    ['HTTP/2', http2.open],
  ] as const;
}

describe.concurrent.each(PROXIES)('%s', (name) => {
  const user = `user-of-${name}`;

  it('passes on uploads without storing them, under any name', async () => {
    await execute(gateway, user, '1');
    for (const [protocol, open] of protocolsOf(name)) {
      const path = `${user}/${encodeURIComponent('größe & 1%2F.bin')}`;
      const { status, text } = await ask(open, upload(path, bytes(MAX_FILE_MIB - 2)));
      expect([200, 201], protocol).toContain(status);
      expect(JSON.parse(text)).toMatchObject({ size: (MAX_FILE_MIB - 2) * MIB });
    }
    const { stdout } = await execute(gateway, user, 'import os\nprint(os.listdir())');
    expect(stdout).toContain('größe & 1%2F.bin');
    expect(route(name).proxy.temporaryFiles()).toEqual([]);
  });

  it('passes on each item of output at once, by server-sent events and WebSocket', async () => {
    const { proxy, http1, http2 } = route(name);
    const { id } = await submit(gateway, `stream-of-${name}`, clock(LINES, EVERY_SECONDS));
    const socket = socketOf(proxy, gateway.token);
    const all = await Promise.all([
      followByEvents(http1, gateway.token, id),
      followByEvents(http2.open, gateway.token, id),
      followBySocket(socket, id),
    ]);
    await socket.dispose();
    for (const { delaysMs, status } of all) {
      expect(status).toBe('OK');
      expect(delaysMs).toHaveLength(LINES);
      expect(median(delaysMs)).toBeLessThan(MAX_DELAY_MS);
    }
  });

  it('carries many calls at once on one HTTP/2 connection', async () => {
    const { http2 } = route(name);
    const streams = await Promise.all(
      Array.from({ length: CALLS_AT_ONCE }, () => {
        const call = graphqlCall(gateway.token, 'subscription { poolStatus { maxTotalWorkers } }');
        return http2.open({ ...call, headers: { ...call.headers, accept: 'text/event-stream' } });
      }),
    );
    for (const { status, body } of streams) {
      expect(status).toBe(200);
      // Comments may come before the first event.
      await body.setEncoding('utf8').find((piece: string) => piece.includes('event: next'));
    }
  });

  it('shows the gateway the address of the client, whatever the client says it is', async () => {
    const { http1 } = route(name);
    const [guesser, neighbour] = name === 'nginx' ? [2, 3] : [4, 5];
    const guess = (from: number, forged: string, token = `ch_${'A'.repeat(43)}`) => {
      const call = graphqlCall(token, '{ viewer { tenant } }');
      const headers = { ...call.headers, 'x-forwarded-for': forged, 'x-real-ip': forged };
      return ask(http1, { ...call, headers, from: `127.0.0.${from}` });
    };
    for (let time = 0; time < FAILURES_PER_MINUTE; time += 1)
      expect(await guess(guesser, `198.51.100.${time}`)).toMatchObject({ status: 401 });
    expect(await guess(guesser, '198.51.100.77')).toMatchObject({ status: 429 });
    expect(await guess(neighbour, `127.0.0.${guesser}`)).toMatchObject({ status: 401 });
    expect(await guess(neighbour, `127.0.0.${guesser}`, gateway.token)).toMatchObject({
      status: 200,
    });
  });

  it('passes on the host name, by which doors and pages know whom to answer', async () => {
    const { proxy, http1, http2 } = route(name);
    const headers = { authorization: `token ${await tokenFor('JUPYTER')}` };
    const path = '/jupyter/api/kernels';
    const answerTo = (open: Open, more: object) =>
      ask(open, { path, headers: { ...headers, ...more } });
    for (const open of [http1, http2.open]) {
      expect(await answerTo(open, {})).toMatchObject({ status: 200 });
      expect(await answerTo(open, { origin: `https://${HOST_NAME}` })).toMatchObject({
        status: 200,
      });
      expect(await answerTo(open, { origin: 'https://evil.example' })).toMatchObject({
        status: 403,
      });
    }
    expect(await answerTo(http1, { host: 'evil.example' })).toMatchObject({ status: 403 });
    const page = (path: string) => ask(http2.open, { path, headers: { accept: 'text/html' } });
    const [console, graphiql] = [await page('/'), await page('/graphql')];
    for (const { status } of [console, graphiql]) expect(status).toBe(200);
    expect(graphiql.headers['content-type']).toContain('text/html');
    const files = [...console.text.matchAll(/(?:src|href)="(\/[^"]+\.\w+)"/g)];
    expect(files.length).toBeGreaterThan(1);
    for (const [, path = ''] of files) expect(await page(path)).toMatchObject({ status: 200 });
    expect(proxy.temporaryFiles()).toEqual([]);
  });

  it("serves E2B's SDK and JupyterLab's client, with output as it is printed", async () => {
    const { proxy } = route(name);
    const [key, token] = [await e2bKey(gateway, `of-${name}`), await jupyterToken(gateway, user)];
    secrets.add(key).add(token);
    const env = {
      ...{ PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: proxy.certificateFile },
      ...{ E2B_API_KEY: key, JUPYTER_TOKEN: token },
      ...{ E2B_API_URL: `${proxy.url}/e2b`, E2B_SANDBOX_URL: `${proxy.url}/e2b` },
    };
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [CLIENTS, proxy.url], { env });
    // JupyterLab's client prints lines of its own before it.
    const { e2b, jupyter } = JSON.parse(stdout.split('\n').at(-1) ?? '') as {
      readonly e2b: Record<'cell' | 'command', number[]> & { readonly read: string };
      readonly jupyter: { readonly cell: number[]; readonly status: string };
    };
    expect(e2b.read).toBe('from outside');
    expect(jupyter.status).toBe('ok');
    for (const delaysMs of [e2b.cell, e2b.command, jupyter.cell]) {
      expect(delaysMs).toHaveLength(LINES);
      expect(median(delaysMs)).toBeLessThan(MAX_DELAY_MS);
    }
  });

  it('has no fault that doctor finds', async () => {
    const { proxy } = route(name);
    const deps = {
      url: proxy.url,
      token: gateway.token,
      config: { maxFileBytes: MAX_FILE_MIB * MIB },
    };
    const program = new URL('../../dist/doctor/proxy.js', import.meta.url).href;
    const code = `const { checkProxy } = await import(${JSON.stringify(program)});
      console.log(JSON.stringify(await checkProxy(${JSON.stringify(deps)})));`;
    const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: proxy.certificateFile };
    const words = ['--input-type=module', '--eval', code];
    const { stdout } = await promisify(execFile)(process.execPath, words, { env });
    const findings: readonly Finding[] = JSON.parse(stdout);
    expect(findings.map(({ check }) => check).sort()).toEqual([...PROXY_CHECKS].sort());
    expect(findings.filter(({ state }) => state !== 'ok')).toEqual([]);
  });

  it('has time limits that fit those of the gateway', async () => {
    const { maxCommandTimeoutMs } = loadConfig({});
    const { configuration } = route(name).proxy;
    if (name === 'nginx') {
      const [, hours = ''] = /^ *proxy_read_timeout (\d+)h;$/m.exec(configuration) ?? [];
      expect(Number(hours) * 3_600_000).toBeGreaterThan(maxCommandTimeoutMs);
      return;
    }
    // Caddy has no other time limits than those that are set.
    const limits = [...configuration.matchAll(/"([a-z_]*(?:timeout|flush_interval))":(\d+)/g)];
    expect(limits.map(([, limit]) => limit)).toEqual(['idle_timeout']);
    // `timeout=<seconds>`: the gateway ends an idle connection then, and the proxy must do so before.
    const kept = (await fetch(`${gateway.url}/livez`)).headers.get('keep-alive') ?? '';
    expect(Number(limits[0]?.[2]) / 1e9).toBeLessThan(Number(kept.split('=')[1]));
  });

  it('passes calls on to another gateway if one is away', async () => {
    const proxy = await startTlsProxy(name, 1, gateway.port);
    const http2 = http2Of(proxy);
    try {
      const calls = Array.from({ length: 12 }, () => ask(http2.open, { path: '/livez' }));
      for (const { status } of await Promise.all(calls)) expect(status).toBe(200);
    } finally {
      http2.close();
      await proxy.end();
    }
  });

  it('passes the first call on after all gateways were away', async () => {
    const serve = async (port: number) => {
      const server = createServer((_, response) => response.end('here')).listen(port, '127.0.0.1');
      await once(server, 'listening');
      return server;
    };
    const portOf = (server: Server) => (server.address() as AddressInfo).port;
    const close = async (server: Server) => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    };
    let servers = await Promise.all([0, 0].map(serve));
    const ports = servers.map(portOf);
    const proxy = await startTlsProxy(name, ...ports);
    const http2 = http2Of(proxy);
    const status = async () => (await ask(http2.open, { path: '/livez' })).status;
    try {
      expect(await status()).toBe(200);
      await Promise.all(servers.map(close));
      const away = await Promise.all([status(), status(), status()]);
      expect(away.every((code) => code === 502 || code === 503)).toBe(true);
      servers = await Promise.all(ports.map(serve));
      expect(await status()).toBe(200);
    } finally {
      http2.close();
      await proxy.end();
      await Promise.all(servers.filter((server) => server.listening).map(close));
    }
  });
});

describe.each(PROXIES)('%s, alone', (name) => {
  it('leaves limits of sizes to the gateway, whose errors say which setting it is', async () => {
    const user = `user-of-${name}`;
    await execute(gateway, user, '1');
    for (const [protocol, open] of protocolsOf(name)) {
      // Caddy closes such a connection of HTTP/1.1 at once, so that clients may miss the answer. The page says so.
      if (name === 'caddy' && protocol === 'HTTP/1.1') continue;
      const call = graphqlCall(gateway.token, '{ viewer { tenant } }');
      const answer = await ask(open, { ...call, body: bytes(MAX_BODY_MIB + 8) });
      expect(answer, protocol).toMatchObject({
        status: 413,
        text: expect.stringContaining('(MAX_BODY_BYTES)'),
      });
      const mib = MAX_FILE_MIB + 8;
      for (const length of [{ 'content-length': String(mib * MIB) }, {}]) {
        const sent = upload(`${user}/b.bin`, bytes(mib), length);
        const refused = await ask(open, sent);
        expect(refused, protocol).toMatchObject({
          status: 413,
          text: expect.stringContaining('MAX_FILE_BYTES'),
        });
      }
    }
  });

  it('lets the gateway see when a client leaves that waits for a silent call', async () => {
    for (const [, open] of protocolsOf(name)) {
      const leave = new AbortController();
      const code = 'import time\ntime.sleep(30)';
      const call = graphqlCall(
        gateway.token,
        'mutation ($code: String!) { execute(input: { userUuid: "leaver", code: $code }) { id } }',
        { code },
      );
      const left = ask(open, { ...call, signal: leave.signal }).catch(() => 'left');
      await until('the call', async () => (await callsInFlight()) === 1);
      leave.abort();
      expect(await left).toBe('left');
      await until('its end', async () => (await callsInFlight()) === 0, 5_000);
    }
  });
});

async function callsInFlight(): Promise<number> {
  const answer = await fetch(`${gateway.url}/metrics`, {
    headers: { 'X-Auth-Token': gateway.token },
  });
  const [, value] = /^cellhouse_calls_in_flight (\d+)$/m.exec(await answer.text()) ?? [];
  return Number(value);
}

describe('When the gateway is away', () => {
  /** The URLs and headers with tokens that clients of doors use. */
  async function callsWithTokens(): Promise<TlsCall[]> {
    const calls = await Promise.all(
      HOSTILE_ROWS.map(async ({ door, method, path, headers, tokenHeader }) => {
        const token = await tokenFor(door.toUpperCase());
        // The door refuses the body, but only to callers whose token is right.
        const call = { method, body: '{' };
        const json = { 'content-type': 'application/json', ...headers };
        const referer = `https://${HOST_NAME}/t/${token}${path}`;
        return [
          { ...call, path: `/t/${token}${path}`, headers: { ...json, referer } },
          { ...call, path: `${path}?token=${token}`, headers: json },
          { ...call, path, headers: { ...json, ...tokenHeader(token) } },
        ];
      }),
    );
    return calls.flat();
  }

  it('the proxies answer 502, log no token, and serve again as soon as the gateway does', async () => {
    const calls = await callsWithTokens();
    const all = PROXIES.map(route);
    const statuses = async () =>
      await Promise.all(
        all.flatMap(({ http1, http2 }) =>
          calls.flatMap((call) =>
            [http1, http2.open].map(async (open) => (await ask(open, call)).status),
          ),
        ),
      );
    const malformed = (await statuses()).filter((status) => status === 400 || status === 422);
    expect(malformed.length).toBeGreaterThanOrEqual(2 * HOSTILE_ROWS.length * PROXIES.length * 2);
    await gateway.kill('SIGKILL');
    const before = performance.now();
    expect(new Set(await statuses())).toEqual(new Set([502]));
    // Caddy waits for the gateway.
    expect(performance.now() - before).toBeGreaterThan(CADDY_WAITS_MS - 500);
    await gateway.restart();
    for (const { http2 } of all)
      expect(await ask(http2.open, { path: '/livez' })).toMatchObject({ status: 200 });
    // Logs are written after answers.
    for (const { proxy } of all) {
      await until('the log', async () => / 502 |"status":502/.test(proxy.logs()));
      await delay(500);
      expect([...secrets].filter((secret) => proxy.logs().includes(secret))).toEqual([]);
      expect(proxy.logs()).toMatch(/ POST \/t |"uri":"\/t"/);
    }
  });
});

async function tokenFor(door: string): Promise<string> {
  const { data, errors } = await gateway.graphql<{ createToken: { secret: string } }>(
    'mutation ($input: CreateTokenInput!) { createToken(input: $input) { secret } }',
    { input: { name: `${door}-${Math.random()}`, role: 'TENANT', door } },
  );
  if (data === null) throw new Error(JSON.stringify(errors));
  secrets.add(data.createToken.secret);
  return data.createToken.secret;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
