/** Hostile code at the proxy: requests that can be read in two ways, and use beyond the code's share. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startDnsServer } from '../../testkit/dnsServer.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import {
  type Gate,
  type GateOptions,
  openGate,
  startBytes,
  startHost,
} from '../support/egressWorld.ts';

const db = await useDatabase();
const { queries } = await db.open();

async function world(more: Readonly<Record<string, string>> = {}) {
  const [host, secret] = [await startHost('host'), await startHost('secret')];
  const settings = { EGRESS_ALLOW: `127.0.0.1:${host.port}`, ...more };
  const gate = await openGate({ settings, queries });
  return { ...gate, host, secret, at: `http://127.0.0.1:${host.port}` };
}

const statusesOf = (answer: string) =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

/** Opens `count` connections that code leaves open, and waits until each is answered. */
async function tunnels({ open }: Gate, to: number, count: number) {
  const sockets = Array.from({ length: count }, () => open());
  const first = sockets.map(async (socket) => {
    socket.write(`CONNECT 127.0.0.1:${to} HTTP/1.1\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    return statusesOf(String(answer))[0];
  });
  return { sockets, statuses: await Promise.all(first) };
}

describe('a request with two meanings', () => {
  it.each([
    [
      'two ways to say its length',
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 50\r\n\r\n12345'],
    ['two lengths in one', 'Content-Length: 5, 5\r\n\r\n12345'],
    ['a length with a sign', 'Content-Length: +5\r\n\r\n12345'],
    ['a length that is not a number', 'Content-Length: 0x5\r\n\r\n12345'],
    ['an encoding that is not chunked', 'Transfer-Encoding: identity\r\n\r\n12345'],
    ['another encoding before chunked', 'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['an encoding after a control character', 'Transfer-Encoding: \u000bchunked\r\n\r\n0\r\n\r\n'],
    ['a space before the colon', 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
    ['a folded header', 'X-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bare line feed', 'X-A: 1\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bare carriage return', 'X-A: 1\rX-B: 2\r\n\r\n'],
    ['a NUL', 'X-A: a\u0000b\r\n\r\n'],
    ['a control character', 'X-A: a\u0001b\r\n\r\n'],
    ['a DEL', 'X-A: a\u007fb\r\n\r\n'],
  ])('is refused: %s', async (_what, rest) => {
    const { send, host, at } = await world();
    const smuggled = `GET ${at}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`;
    const answer = await send(`POST ${at}/ HTTP/1.1\r\nHost: x\r\n${rest}${smuggled}`);
    expect(statusesOf(answer)).toEqual([400]);
    expect(host.connections).toBe(0);
  });

  it('is refused if it is an upgrade with a body', async () => {
    const { send, host, at } = await world();
    const upgrade = 'Connection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\nabc';
    expect(statusesOf(await send(`POST ${at}/ HTTP/1.1\r\nHost: x\r\n${upgrade}`))).toEqual([400]);
    expect(host.connections).toBe(0);
  });

  it.each([
    ...[
      '/',
      '*',
      'https://127.0.0.1/',
      'ftp://127.0.0.1/',
      'file:///etc/passwd',
      'http:/127.0.0.1/',
    ],
    ...[
      'http:127.0.0.1',
      '//127.0.0.1/',
      'gopher://127.0.0.1/',
      'http://',
      'http:///',
      'unix:/run/x',
    ],
  ])('is refused if it asks for %j', async (url) => {
    const { send, secret } = await world();
    expect(
      statusesOf(await send(`GET ${url} HTTP/1.1\r\nHost: 127.0.0.1:${secret.port}\r\n\r\n`)),
    ).toEqual([400]);
    expect(secret.connections).toBe(0);
  });

  it('goes to the host of its URL, whatever its headers say', async () => {
    const { send, host, secret, at } = await world();
    const headers = [
      ...[
        `Host: 127.0.0.1:${secret.port}`,
        'X-Forwarded-Host: other',
        'Connection: close, Host, Content-Length',
      ],
      'Content-Length: 3',
    ];
    const answer = await send(`POST ${at}/ HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\nabc`);
    expect(statusesOf(answer)).toEqual([200]);
    expect(host.bodies).toEqual(['abc']);
    expect(host.requests[0]?.rawHeaders).toEqual([
      ...['Host', `127.0.0.1:${host.port}`, 'X-Forwarded-Host', 'other', 'Content-Length', '3'],
      ...['Connection', 'close'],
    ]);
    expect(secret.connections).toBe(0);
  });

  it('cannot add a header through its path or the value of a header', async () => {
    const { send, host, at } = await world();
    for (const url of [`${at}/a%0d%0aX-Injected:%201`, `${at}/?a=%0aX-Injected:1`, `${at}/\u00e9`])
      await send(`GET ${url} HTTP/1.1\r\nHost: x\r\nX-A: %0d%0aX-Injected: 1\r\n\r\n`);
    for (const { rawHeaders } of host.requests)
      expect(rawHeaders.map((name) => name.toLowerCase())).not.toContain('x-injected');
    expect(host.requests.map(({ url }) => url)).toEqual([
      '/a%0d%0aX-Injected:%201',
      '/?a=%0aX-Injected:1',
    ]);
  });
});

describe('a side that goes away', () => {
  it.each([
    'code before the answer',
    'code in the answer',
    'code in its body',
    'the host at once',
    'the host in its answer',
  ])('leaves no open connection: %s', async (who) => {
    const port = await startBytes((socket) => {
      if (who === 'the host at once') socket.resetAndDestroy();
      else if (who.endsWith('answer') && !who.endsWith('before the answer')) {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf');
        if (who.startsWith('the host')) setImmediate(() => socket.resetAndDestroy());
      }
      socket.resume();
    });
    const gate = await openGate({ settings: { EGRESS_ALLOW: `127.0.0.1:${port}` }, queries });
    for (const more of [
      '',
      'Connection: Upgrade\r\nUpgrade: echo\r\n',
      'Content-Length: 1000000\r\n\r\nabc',
    ]) {
      const socket = gate.open();
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(`POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
      if (who.startsWith('code'))
        await until('the connection', async () => gate.egress.totals.open > 0, 5_000);
      else await Promise.race([once(socket, 'end'), once(socket, 'close')]).catch(() => undefined);
      socket.resetAndDestroy();
      await until('the end of all', async () => gate.egress.totals.open === 0);
    }
  });
});

describe('a connection of code', () => {
  it('carries one request: a second one reaches nobody, whatever it is', async () => {
    const { send, host, secret, at } = await world();
    const first = `GET ${at}/first HTTP/1.1\r\nHost: x\r\n\r\n`;
    for (const second of [
      `GET ${at}/second HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET http://127.0.0.1:${secret.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`,
      `CONNECT 127.0.0.1:${host.port} HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\n`,
      `GET ${at}/second HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
      'nonsense\r\n\r\n',
    ])
      await send(first + second);
    expect(host.requests.map(({ url }) => url).filter((url) => url !== '/first')).toEqual([]);
    expect(secret.connections).toBe(0);
  });

  it('ends with 408 if its request is not complete in time, even if bytes keep coming', async () => {
    const { open, egress } = await world({ EGRESS_CONNECT_TIMEOUT_MS: '400' });
    const slow = open();
    const began = performance.now();
    const chunks: Buffer[] = [];
    slow.on('data', (chunk: Buffer) => chunks.push(chunk));
    slow.on('error', () => undefined);
    const bytes = 'GET http://127.0.0.1/ HTTP/1.1\r\nX-A: '[Symbol.iterator]();
    const timer = setInterval(() => slow.write(bytes.next().value ?? 'a'), 20);
    await once(slow, 'end');
    clearInterval(timer);
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(egress.totals.outcomes.get('malformed')).toBe(1);
  });

  it('ends if its head is too large', async () => {
    const { send, at } = await world();
    const answer = await send(`GET ${at}/ HTTP/1.1\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`);
    expect(statusesOf(answer)).toEqual([431]);
  });

  it('ends if nothing moves for EGRESS_IDLE_TIMEOUT_MS, even if one side reads nothing', async () => {
    const silent = await startBytes(() => undefined);
    const gate = await openGate({
      settings: { EGRESS_ALLOW: `127.0.0.1:${silent}`, EGRESS_IDLE_TIMEOUT_MS: '1000' },
      queries,
    });
    const { sockets } = await tunnels(gate, silent, 2);
    const [idle, full] = sockets as [Socket, Socket];
    // The host reads nothing, so the data of the code fills all buffers and then stops.
    full.write(Buffer.alloc(64 * 1024 * 1024));
    await Promise.all(
      [once(idle, 'close').catch(() => undefined), once(full, 'close').catch(() => undefined)].map(
        (closing, at) => {
          (sockets[at] as Socket).on('end', () => (sockets[at] as Socket).destroy());
          (sockets[at] as Socket).on('error', () => undefined);
          return closing;
        },
      ),
    );
    await until('the end of all', async () => gate.egress.totals.open === 0);
  });

  it('is held back by a host that reads nothing, so memory stays bounded', async () => {
    const silent = await startBytes((socket) => socket.pause());
    const gate = await openGate({ settings: { EGRESS_ALLOW: `127.0.0.1:${silent}` }, queries });
    const { sockets } = await tunnels(gate, silent, 1);
    const [socket] = sockets as [Socket];
    let sent = 0;
    for (let at = 0; at < 64; at += 1) socket.write(Buffer.alloc(1024 * 1024), () => (sent += 1));
    await until('the buffers to be full', async () => {
      const before = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return before === sent;
    });
    // The buffers of the operating system take a few MiB of the 64 MiB; the rest stays with the code.
    expect(sent).toBeLessThan(48);
    socket.destroy();
  });
});

describe('names that are not answered', () => {
  it('cause a bounded number of DNS questions, and block no other session', async () => {
    const host = await startHost('host');
    const dns = await startDnsServer((name) => (name.startsWith('slow') ? null : ['127.0.0.1']));
    onTestFinished(() => dns.close());
    const allow = `*.test:${host.port},127.0.0.1:${host.port}`;
    const settings = { EGRESS_ALLOW: allow, EGRESS_DNS: dns.address };
    const gate = await openGate({ settings, queries });
    const other = await openGate({ settings, queries, egress: gate.egress });
    const ask = (name: string) => `CONNECT ${name}.test:${host.port} HTTP/1.1\r\n\r\n`;
    for (let at = 0; at < 100; at += 1) {
      const socket = gate.open();
      socket.write(ask(`slow${at}`));
      if (at < 8)
        await until('the question', async () => dns.asked.includes(`slow${at}.test`), 2_000);
      socket.destroy();
    }
    // Further names of the same session wait for the slow ones.
    gate.open().write(ask('fast1'));
    expect(await other.send(`${ask('fast2')}GET / HTTP/1.0\r\n\r\n`)).toMatch(/I am host$/);
    expect(new Set(dns.asked.filter((name) => name.startsWith('slow'))).size).toBe(8);
    expect(dns.asked).not.toContain('fast1.test');
  });
});

describe('all connections', () => {
  it('are limited by EGRESS_MAX_TOTAL_CONNECTIONS, and any others are refused with 503', async () => {
    const bytes = await startBytes((socket) => socket.resume().on('end', () => socket.end()));
    const settings = { EGRESS_ALLOW: `127.0.0.1:${bytes}`, EGRESS_MAX_TOTAL_CONNECTIONS: '5' };
    const gate = await openGate({ settings, queries });
    const { sockets, statuses } = await tunnels(gate, bytes, 8);
    expect(statuses.sort()).toEqual([200, 200, 200, 200, 200, 503, 503, 503]);
    for (const socket of sockets) socket.destroy();
    await until('the end of all', async () => gate.egress.totals.open === 0);
    expect((await tunnels(gate, bytes, 5)).statuses).toEqual([200, 200, 200, 200, 200]);
  });

  it('of one tenant are limited, and the other tenants have the rest', async () => {
    const bytes = await startBytes((socket) => socket.resume().on('end', () => socket.end()));
    const settings = {
      ...{ EGRESS_ALLOW: `127.0.0.1:${bytes}`, EGRESS_MAX_TOTAL_CONNECTIONS: '5' },
      EGRESS_MAX_TENANT_CONNECTIONS: '3',
    };
    const gate = await openGate({ settings, queries, session: { tenant: 'greedy' } });
    const { egress } = gate;
    const other = await openGate({ settings, queries, egress, session: { tenant: 'other' } });
    const { sockets, statuses } = await tunnels(gate, bytes, 5);
    expect(statuses.sort()).toEqual([200, 200, 200, 503, 503]);
    expect((await tunnels(other, bytes, 3)).statuses.sort()).toEqual([200, 200, 503]);
    for (const socket of sockets) socket.destroy();
    await until('the end of all', async () => egress.totals.open === 2);
    expect((await tunnels(gate, bytes, 3)).statuses).toEqual([200, 200, 200]);
  });

  it('are recorded in a bounded number of rows, and no host is reached without a row', async () => {
    const settings = { EGRESS_ALLOW: '127.0.0.0/8:1', EGRESS_CONNECT_TIMEOUT_MS: '5000' };
    const gate = await openGate({ settings, queries });
    const asked = Array.from({ length: 300 }, (_, at) => at);
    await Promise.all(asked.map((at) => gate.send(`CONNECT evil${at}.test:80 HTTP/1.1\r\n\r\n`)));
    const hosts = asked.map((at) => `127.9.${at >> 8}.${at & 255}`);
    const answers = await Promise.all(
      hosts.map((host) => gate.send(`CONNECT ${host}:1 HTTP/1.1\r\n\r\n`)),
    );
    // Nobody listens there, so 502 means that the proxy has dialled the host.
    const dialled = hosts.filter((_, at) => statusesOf(answers[at] ?? '')[0] === 502);
    const { id } = gate.session;
    const rows = await until('all counts', async () => {
      const found = await db.sql`
        SELECT host, outcome, connections::int FROM audit.egress WHERE session_id = ${id}`;
      const refused = found.filter(({ outcome }) => outcome === 'not-listed');
      return refused.reduce((sum, { connections }) => sum + connections, 0) === 300 && found;
    });
    const ofOutcome = (outcome: string) => rows.filter((row) => row.outcome === outcome);
    const allowed = new Set(ofOutcome('allowed').map(({ host }) => host));
    expect(dialled.filter((host) => !allowed.has(host))).toEqual([]);
    expect(dialled.length).toBeGreaterThanOrEqual(256);
    // The clock may have begun another minute in between.
    expect(rows.length).toBeLessThan(2 * (256 + 33 + 1));
    expect(ofOutcome('not-listed').length).toBeLessThanOrEqual(2 * 33);
  });

  it('are not made while they cannot be recorded', async () => {
    const { port, ...host } = await startHost('host');
    const away = () => Promise.reject(new Error('The database is away.'));
    const failing = { recordEgress: away, openEgressCount: away };
    const gate = await openGate({
      settings: { EGRESS_ALLOW: `127.0.0.1:${port}` },
      queries: failing,
    });
    expect(await gate.send(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 503 The proxy cannot make connections at this time\./,
    );
    expect(host.requests).toEqual([]);
  });

  it('are not made while the database does not answer, and are refused in time', async () => {
    const host = await startHost('host');
    let questions = 0;
    // Counts are stored, but the row that must precede a connection never is.
    const hanging: GateOptions['queries'] = {
      recordEgress: async () => undefined,
      openEgressCount: async () => {
        questions += 1;
        await new Promise(() => undefined);
      },
    };
    const settings = {
      ...{ EGRESS_ALLOW: `127.0.0.1:${host.port}`, EGRESS_CONNECT_TIMEOUT_MS: '600' },
      EGRESS_MAX_TOTAL_CONNECTIONS: '1',
    };
    const gate = await openGate({ settings, queries: hanging });
    const ask = `CONNECT 127.0.0.1:${host.port} HTTP/1.1\r\n\r\n`;
    const full = /^HTTP\/1\.1 503 All connections/;
    const gone = gate.open();
    gone.write(ask);
    await until('the question', async () => questions > 0);
    expect(await gate.send(ask)).toMatch(full);
    gone.destroy();
    const asked = performance.now();
    const last = await until('its place', async () => {
      const answer = await gate.send(ask);
      return !full.test(answer) && answer;
    });
    expect(last).toMatch(/^HTTP\/1\.1 503 The proxy cannot make connections at this time\./);
    expect(performance.now() - asked).toBeLessThan(5_000);
    expect(host.connections).toBe(0);
  });

  it('are counted as allowed, and not also as unreachable, if code gives up first', async () => {
    const dns = await startDnsServer(() => null);
    onTestFinished(() => dns.close());
    const settings = {
      ...{ EGRESS_ALLOW: 'slow.test:1,127.0.0.1:1', EGRESS_DNS: dns.address },
      EGRESS_MAX_TOTAL_CONNECTIONS: '1',
    };
    const gate = await openGate({ settings, queries });
    const code = gate.open();
    code.write('GET http://slow.test:1/ HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the question', async () => dns.asked.length > 0);
    code.destroy();
    await until('its place', async () =>
      (await gate.send('CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n')).startsWith('HTTP/1.1 502'),
    );
    const { outcomes } = gate.egress.totals;
    expect([...outcomes.keys()].filter((outcome) => outcome !== 'too-many')).toEqual([
      'allowed',
      'unreachable',
    ]);
    expect(outcomes.get('allowed')).toBe(2);
  });
});
