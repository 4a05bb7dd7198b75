/** What code gets from the proxy: hosts that are listed, and nothing else. The hosts listen on loopback. */
import { once } from 'node:events';
import { request } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DnsServer, startDnsServer } from '../../testkit/dnsServer.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import {
  type Gate,
  type GateOptions,
  type Host,
  openGate,
  startBytes,
  startHost,
} from '../support/egressWorld.ts';

const db = await useDatabase();
const { queries } = await db.open();

interface World extends Gate {
  /** Listed under `host.test` and `*.sub.test`, and as an address. */
  readonly host: Host;
  /** Listens on loopback, and is listed only as `rebind.test`. */
  readonly secret: Host;
  readonly dns: DnsServer;
}

async function world(
  answers: Readonly<Record<string, readonly string[]>> = {},
  more: {
    readonly settings?: GateOptions['settings'];
    readonly session?: GateOptions['session'];
  } = {},
): Promise<World> {
  const [host, secret] = [await startHost('host'), await startHost('secret')];
  const dns = await startDnsServer((name) => answers[name] ?? ['127.0.0.1']);
  onTestFinished(() => dns.close());
  const allow = [
    ...['host.test', '*.sub.test', '127.0.0.1', '[::1]'].map((name) => `${name}:${host.port}`),
    `rebind.test:${secret.port}`,
  ];
  const gate = await openGate({
    settings: { EGRESS_ALLOW: allow.join(), EGRESS_DNS: dns.address, ...more.settings },
    queries,
    ...(more.session && { session: more.session }),
  });
  return { ...gate, host, secret, dns };
}

const get = (authority: string, more = '', path = '/') =>
  `GET http://${authority}${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const connectTo = (authority: string) =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);

async function outcomesOf({ egress, session }: Gate) {
  await egress.close();
  return await db.sql`
    SELECT host, port, outcome, connections::int, sent_bytes::int, received_bytes::int
    FROM audit.egress WHERE session_id = ${session.id} ORDER BY outcome, host, port`;
}

describe('a listed host', () => {
  it('is reached over HTTP, with its own Host and without headers that are for the proxy only', async () => {
    const { send, host } = await world();
    const headers = [
      'Proxy-Authorization: Basic eDp5',
      'Proxy-Connection: keep-alive',
      'Connection: keep-alive, X-Hop',
      'X-Hop: 1',
      'X-Kept: a',
      'x-kept: b',
      'Cookie: c=1',
    ];
    const answer = await send(
      get(`HOST.test.:${host.port}`, `${headers.join('\r\n')}\r\n`, '/a/b?c=d'),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(/I am host/);
    expect(host.requests).toMatchObject([{ method: 'GET', url: '/a/b?c=d' }]);
    expect(host.requests[0]?.rawHeaders).toEqual([
      ...['Host', `host.test:${host.port}`, 'X-Kept', 'a', 'x-kept', 'b', 'Cookie', 'c=1'],
      ...['Connection', 'close'],
    ]);
  });

  it('gets a body as it is sent, in pieces or with its length', async () => {
    const { port, host } = await world();
    for (const headers of [{ 'transfer-encoding': 'chunked' }, { 'content-length': 10 }]) {
      const call = request({
        ...{ host: '127.0.0.1', port, method: 'POST', headers },
        path: `http://host.test:${host.port}/up`,
      });
      call.write('01234');
      call.end('56789');
      const [answer] = await once(call, 'response');
      answer.resume();
      expect(answer.statusCode).toBe(200);
    }
    await until('both bodies', async () => host.bodies.length === 2);
    expect(host.bodies).toEqual(['0123456789', '0123456789']);
  });

  it('is reached with CONNECT, and each direction can end alone', async () => {
    const { send, host, open, egress, session } = await world();
    expect(await send(`${connectTo(`a.sub.test:${host.port}`)}GET /in HTTP/1.0\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*I am host$/,
    );
    expect(host.requests).toMatchObject([{ url: '/in' }]);
    const bytes = await startBytes((socket) => {
      let got = 0;
      socket.on('data', (chunk) => {
        got += chunk.length;
      });
      socket.on('end', () => socket.end(`got ${got}`));
    });
    await until('the end of the connection', async () => egress.totals.open === 0);
    const gate = await openGate({
      settings: { EGRESS_ALLOW: `127.0.0.1:${bytes}` },
      queries,
      session,
    });
    const socket = gate.open();
    socket.write(connectTo(`127.0.0.1:${bytes}`));
    await once(socket, 'data');
    const million = Buffer.alloc(1_000_000);
    for (let sent = 0; sent < 8; sent += 1) socket.write(million);
    socket.end();
    const [last] = await once(socket, 'data');
    expect(String(last)).toBe('got 8000000');
    open().destroy();
  });

  it('is reached with an upgrade, and then the new protocol works both ways', async () => {
    const { open, host } = await world();
    const socket = open();
    socket.write(get(`host.test:${host.port}`, 'Connection: Upgrade\r\nUpgrade: echo\r\n'));
    const [head] = await once(socket, 'data');
    expect(String(head)).toBe(
      'HTTP/1.1 101 Go\r\nX-Own: 1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
    );
    socket.write('hello');
    const [echo] = await once(socket, 'data');
    expect(String(echo)).toBe('hello');
    socket.destroy();
  });

  it('may refuse an upgrade, and a broken answer never looks complete', async () => {
    const refusing = await startBytes((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 426 No\r\nContent-Length: 4\r\n\r\nno!\n'));
    });
    const breaking = await startBytes((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'));
    });
    const lying = await startBytes((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nhalfwhole'),
      );
    });
    // This host sends a malformed chunk after the proxy has passed on the head.
    const garbled = await startBytes((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 426 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n');
        setTimeout(() => socket.end('nonsense\r\n'), 100);
      });
    });
    const allow = [refusing, breaking, lying, garbled].map((port) => `127.0.0.1:${port}`);
    const { send } = await openGate({ settings: { EGRESS_ALLOW: allow.join() }, queries });
    const upgrade = 'Connection: Upgrade\r\nUpgrade: echo\r\n';
    expect(await send(get(`127.0.0.1:${refusing}`, upgrade))).toMatch(
      /^HTTP\/1\.1 426 No\r\n[\s\S]*no!\n$/,
    );
    const cut = await send(get(`127.0.0.1:${garbled}`, upgrade));
    expect(cut).toMatch(/^HTTP\/1\.1 426 No\r\n[\s\S]*no\r\n$/);
    expect(cut).not.toContain('HTTP/1.1 502');
    const broken = await send(get(`127.0.0.1:${breaking}`));
    expect(broken).toMatch(/Content-Length: 9\r\n[\s\S]*\r\n\r\n(half)?$/);
    expect(await send(get(`127.0.0.1:${lying}`))).toMatch(/^HTTP\/1\.1 502 The host gave no valid/);
  });

  it('is recorded with the bytes of both directions, and refused requests are recorded too', async () => {
    const gate = await world();
    const { send, host } = gate;
    for (let call = 0; call < 3; call += 1) await send(get(`host.test:${host.port}`));
    await send(get('other.test'));
    await send('nonsense\r\n\r\n');
    const rows = await outcomesOf(gate);
    expect(rows).toMatchObject([
      { host: 'host.test', port: host.port, outcome: 'allowed', connections: 3 },
      { host: '', port: 0, outcome: 'malformed', connections: 1 },
      { host: 'other.test', port: 80, outcome: 'not-listed', connections: 1 },
    ]);
    expect(rows[0]?.sentBytes).toBeGreaterThan(100);
    expect(rows[0]?.receivedBytes).toBeGreaterThan(100);
    expect(gate.egress.totals).toMatchObject({ open: 0, receivedBytes: rows[0]?.receivedBytes });
  });
});

describe('a host that is not listed', () => {
  it('is refused with one sentence that names the setting, and not even resolved', async () => {
    const { send, dns, secret } = await world();
    const sentence = `evil.test:${secret.port} is not in EGRESS_ALLOW.`;
    for (const asked of [get, connectTo]) {
      const answer = await send(asked(`evil.test:${secret.port}`));
      expect(answer.split('\r\n')[0]).toBe(`HTTP/1.1 403 ${sentence}`);
      expect(answer.endsWith(`\r\n\r\n${sentence}\n`)).toBe(true);
    }
    expect(dns.asked).toEqual([]);
  });

  it('is refused if only the tenant or the session may not reach it', async () => {
    const settings = { EGRESS_ALLOW: 'a.test:1,b.test:1', TENANT_EGRESS_ALLOW: 'small=a.test:1' };
    const small = await openGate({ settings, queries, session: { tenant: 'small' } });
    expect(await small.send(get('b.test:1'))).toMatch(
      /^HTTP\/1\.1 403 b\.test:1 is in EGRESS_ALLOW, but not in what TENANT_EGRESS_ALLOW/,
    );
    const narrow = await openGate({ settings, queries, session: { egressAllow: ['a.test:1'] } });
    expect(await narrow.send(get('b.test:1'))).toMatch(
      /^HTTP\/1\.1 403 b\.test:1 is in EGRESS_ALLOW, but not in the egressAllow of this session/,
    );
    const none = await openGate({ settings, queries, session: { egressAllow: [] } });
    expect(statusOf(await none.send(get('a.test:1')))).toBe(403);
  });

  it('is not reached by any spelling of its name or address', async () => {
    const { send, host, secret } = await world();
    const { port } = secret;
    const authorities = [
      ...[
        'localhost',
        '127.0.0.1',
        '127.1',
        '2130706433',
        '0x7f000001',
        '017700000001',
        '0177.0.0.1',
      ],
      ...[
        '0',
        '0.0.0.0',
        '127.0.0.2',
        '127.0.0.1.',
        '[::1]',
        '[::]',
        '[::ffff:127.0.0.1]',
        '[::ffff:7f00:1]',
      ],
      ...[
        '[::127.0.0.1]',
        '[64:ff9b::7f00:1]',
        '[2002:7f00:1::]',
        '[0:0:0:0:0:0:0:1]',
        '[::1%25lo]',
      ],
      ...[
        'host.test@127.0.0.1',
        'host.test:80@127.0.0.1',
        '127.0.0.1#@host.test',
        'host.test#',
        'host.test%00',
      ],
      ...[
        '169.254.169.254',
        '[fd00:ec2::254]',
        'host.test.',
        'HOST.TEST',
        'host.test:80',
        ' host.test',
        '',
      ],
      ...[
        'host.test\\@127.0.0.1',
        'sub.test',
        'xsub.test',
        'a.sub.test.evil',
        'h\u00f6st.test',
        '*.sub.test',
      ],
    ];
    const asked = authorities.map((name) => `${name}:${port}`);
    const both = [...asked.map((each) => get(each)), ...asked.map(connectTo)];
    const statuses = await Promise.all(both.map(async (each) => statusOf(await send(each))));
    expect(statuses.filter((status) => status !== 403 && status !== 400)).toEqual([]);
    expect([secret.connections, host.connections]).toEqual([0, 0]);
  });

  it('is not reached on another port of a listed one', async () => {
    const { send, host, secret } = await world();
    for (const port of [22, 25, 80, 443, 0, 65_536, secret.port])
      expect([403, 400]).toContain(statusOf(await send(connectTo(`127.0.0.1:${port}`))));
    expect([host.connections, secret.connections]).toEqual([0, 0]);
  });

  it('is not reached by a redirect: the client asks again', async () => {
    const secret = await startHost('secret');
    const host = await startHost('host', (_req, res) => {
      res.writeHead(302, { location: `http://127.0.0.1:${secret.port}/` }).end();
    });
    const { send } = await openGate({
      settings: { EGRESS_ALLOW: `127.0.0.1:${host.port}` },
      queries,
    });
    const answer = await send(get(`127.0.0.1:${host.port}`));
    expect(answer).toMatch(/^HTTP\/1\.1 302 /);
    expect(answer).toMatch(new RegExp(`location: http://127.0.0.1:${secret.port}/`, 'i'));
    expect(statusOf(await send(get(`127.0.0.1:${secret.port}`)))).toBe(403);
    expect(secret.connections).toBe(0);
  });
});

describe('a name', () => {
  it('that resolves to a private address is refused, unless EGRESS_ALLOW lists the address', async () => {
    const { send, secret, host } = await world();
    const answer = await send(get(`rebind.test:${secret.port}`));
    expect(answer).toMatch(
      /^HTTP\/1\.1 403 rebind\.test:\d+ has a private address that EGRESS_ALLOW/,
    );
    expect(secret.connections).toBe(0);
    expect(statusOf(await send(get(`host.test:${host.port}`)))).toBe(200);
  });

  it('that resolves to a private address is refused if the list of the tenant or of the session lacks the address', async () => {
    const host = await startHost('host');
    const dns = await startDnsServer(() => ['127.0.0.1']);
    onTestFinished(() => dns.close());
    const [name, address] = [`host.test:${host.port}`, `127.0.0.1:${host.port}`];
    const settings = {
      EGRESS_ALLOW: `${name},${address}`,
      TENANT_EGRESS_ALLOW: `narrow=${name},wide=${name} ${address}`,
      EGRESS_DNS: dns.address,
    };
    const ask = async (session: GateOptions['session']) =>
      await (await openGate({ settings, queries, ...(session && { session }) })).send(get(name));
    expect(await ask({ tenant: 'narrow' })).toMatch(
      /^HTTP\/1\.1 403 .* private address that what TENANT_EGRESS_ALLOW gives this tenant does/,
    );
    expect(await ask({ egressAllow: [name] })).toMatch(
      /^HTTP\/1\.1 403 .* private address that the egressAllow of this session does/,
    );
    // The tenant's list also narrows what the session lists.
    expect(statusOf(await ask({ tenant: 'narrow', egressAllow: [name, address] }))).toBe(403);
    expect(host.connections).toBe(0);
    expect(statusOf(await ask({ tenant: 'wide', egressAllow: [name, address] }))).toBe(200);
  });

  it.each([
    ...[
      ['::1'],
      ['::ffff:127.0.0.1'],
      ['64:ff9b::7f00:1'],
      ['2002:7f00:1::1'],
      ['fe80::1'],
      ['fd00:ec2::254'],
    ],
    ...[
      ['169.254.169.254'],
      ['0.0.0.0'],
      ['::'],
      ['10.0.0.1'],
      ['100.100.100.200'],
      ['168.63.129.16'],
    ],
    // An address that may be dialled does not make up for a private one.
    ...[
      ['192.88.99.1', '1.1.1.1'],
      ['1.1.1.1', '127.0.0.1'],
      ['2606:4700::1', '127.0.0.1'],
    ],
  ])('that resolves to %s is refused', async (...addresses) => {
    const { send, secret } = await world({ 'rebind.test': addresses });
    expect(await send(get(`rebind.test:${secret.port}`))).toMatch(
      /^HTTP\/1\.1 403 .* private address/,
    );
    expect(secret.connections).toBe(0);
  });

  it('is resolved once for each connection, and dialled at the address that was checked', async () => {
    // The address changes after the first two questions, which are A and AAAA of the first connection. The first
    // address is listed, the second is not.
    let questions = 0;
    const host = await startHost('host');
    const secret = await startHost('secret');
    const dns = await startDnsServer(() => {
      questions += 1;
      return [questions <= 2 ? '127.0.0.1' : '127.0.0.2'];
    });
    onTestFinished(() => dns.close());
    const { send } = await openGate({
      settings: {
        EGRESS_ALLOW: `flip.test:${host.port},127.0.0.1:${host.port}`,
        EGRESS_DNS: dns.address,
      },
      queries,
    });
    expect(await send(get(`flip.test:${host.port}`))).toMatch(/I am host$/);
    expect(await send(get(`flip.test:${host.port}`))).toMatch(/^HTTP\/1\.1 403 .* private address/);
    expect(dns.asked).toEqual(['flip.test', 'flip.test']);
    expect([host.connections, secret.connections]).toEqual([1, 0]);
  });

  it('is resolved by the system if no servers are named, for many connections at once', async () => {
    const host = await startHost('host');
    const listed = ['localhost', '127.0.0.1', '[::1]'].map((name) => `${name}:${host.port}`);
    const { send } = await openGate({ settings: { EGRESS_ALLOW: listed.join() }, queries });
    const asked = Array.from({ length: 20 }, () => send(get(`localhost:${host.port}`)));
    expect((await Promise.all(asked)).map(statusOf)).toEqual(Array(20).fill(200));
    const unlisted = await openGate({
      settings: { EGRESS_ALLOW: `localhost:${host.port}` },
      queries,
    });
    expect(await unlisted.send(get(`localhost:${host.port}`))).toMatch(
      /^HTTP\/1\.1 403 .* private/,
    );
    expect(host.connections).toBe(20);
  });

  it('that cannot be resolved, or whose host does not listen, is refused with the reason', async () => {
    const { send, host } = await world({ 'gone.sub.test': [] });
    expect(await send(get(`gone.sub.test:${host.port}`))).toMatch(
      /^HTTP\/1\.1 502 The name of gone\.sub\.test:\d+ cannot be resolved \(ENOTFOUND\)\.\r\n/,
    );
    const closed = await startBytes(() => undefined);
    const gate = await openGate({
      settings: { EGRESS_ALLOW: `127.0.0.1:${closed},127.0.0.1:1` },
      queries,
    });
    expect(await gate.send(connectTo('127.0.0.1:1'))).toMatch(
      /^HTTP\/1\.1 502 127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)\.\r\n/,
    );
  });
});
