/**
 * Hostile code that has egress reaches the listed hosts, and nothing else. All hosts are in a network namespace of the
 * test, and the gateway can reach each of them.
 */
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../testkit/until.ts';
import { EXTENT } from '../../extent.ts';
import {
  ASK,
  type EgressWorld,
  FORBIDDEN,
  LISTED,
  METADATA,
  METADATA_6,
  OWN_ADDRESS,
  openEgressWorld,
  UNLISTED,
} from '../../support/egressWorld.ts';

const MAX_CONNECTIONS = 8;

const isRoot = process.getuid?.() === 0;

describe.runIf(isRoot).each(EXTENT.runtimes)('under %s', (runtime) => {
  let world: EgressWorld;
  beforeAll(async () => {
    world = await openEgressWorld({
      DOCKER_RUNTIME: runtime,
      EGRESS_MAX_CONNECTIONS: String(MAX_CONNECTIONS),
      EGRESS_CONNECT_TIMEOUT_MS: '2000',
    });
    // Shows that the tests can fail: the gateway's machine reaches each of the hosts.
    for (const host of [LISTED, `${LISTED}:8080`, UNLISTED, METADATA, `[${METADATA_6}]`])
      expect(await text((await fetch(`http://${host}/`)).body as never)).toContain('I am');
  });
  afterAll(() => world?.close());

  /** The numbers of connections to the hosts that code must not reach. */
  const forbidden = () => FORBIDDEN.map((name) => world.connectionsTo(name));

  it('code reaches a listed host with what it has at hand: urllib, curl, sockets, an upgrade', async () => {
    const found = await world.ask<Record<string, string>>(
      'ann',
      `${ASK}
import subprocess, urllib.request
body = b"x" * 1_000_000
print(json.dumps({
  "urllib": urllib.request.urlopen("http://listed.test/a").read().decode(),
  "upload": urllib.request.urlopen("http://A.sub.test./", data=body).read().decode(),
  "address": urllib.request.urlopen("http://${LISTED}/").read().decode(),
  "curl": subprocess.run(["curl", "-sp", "http://listed.test/"], capture_output=True, text=True).stdout,
  "connect": connect("listed.test:80"),
  "env": " ".join(os.environ[name] for name in ("HTTP_PROXY", "https_proxy", "NO_PROXY")),
}))`,
    );
    expect(found).toEqual({
      urllib: 'I am listed, asked as listed.test, got 0',
      upload: 'I am listed, asked as a.sub.test, got 1000000',
      address: `I am listed, asked as ${LISTED}, got 0`,
      curl: 'I am listed, asked as listed.test, got 0',
      connect: expect.stringMatching(/^HTTP\/1\.1 200 Connection Established[\s\S]*I am listed/),
      env: 'http://127.0.0.1:3128 http://127.0.0.1:3128 localhost,127.0.0.1,::1',
    });
  });

  it('code has no other way: no interface, no route, no socket of the gateway', async () => {
    const before = forbidden();
    const errors = await world.ask<string[]>(
      'ann',
      `${ASK}
def direct(family, address):
    with socket.socket(family) as code:
        code.settimeout(3)
        try: code.connect(address)
        except OSError as error: return error.strerror or "timed out"
        return "connected"
print(json.dumps([direct(socket.AF_INET, (host, port)) for host, port in
  [("${LISTED}", 80), ("${METADATA}", 80), ("127.0.0.1", ${world.gateway.port}), ("${OWN_ADDRESS}", ${world.gateway.port})]]
  + [sorted(name for _, name in socket.if_nameindex())]))`,
    );
    expect(errors.slice(0, 4)).not.toContain('connected');
    expect(errors[4]).toEqual(['lo']);
    expect(forbidden()).toEqual(before);
  });

  it('no spelling, name, port or redirect leads to a host that is not listed', async () => {
    const before = forbidden();
    const own = world.gateway.port;
    const spelt = [
      ...[
        UNLISTED,
        METADATA,
        `[${METADATA_6}]`,
        `${LISTED}:8080`,
        `listed.test:8080`,
        `${OWN_ADDRESS}:${own}`,
      ],
      ...[
        `127.0.0.1:${own}`,
        `127.1:${own}`,
        `2130706433:${own}`,
        `0x7f000001:${own}`,
        `017700000001:${own}`,
      ],
      ...[
        `0177.0.0.1:${own}`,
        `0:${own}`,
        `0.0.0.0:${own}`,
        `[::]:${own}`,
        `[::1]:${own}`,
        `localhost:${own}`,
      ],
      ...[
        `[::ffff:127.0.0.1]:${own}`,
        `[::ffff:7f00:1]:${own}`,
        `[::127.0.0.1]:${own}`,
        `[64:ff9b::7f00:1]:${own}`,
      ],
      ...[
        `[2002:7f00:1::]:${own}`,
        '2852039166',
        '0xa9fea9fe',
        '169.254.169.254.',
        '[::ffff:169.254.169.254]',
      ],
      ...[
        '[64:ff9b::a9fe:a9fe]',
        '[2002:a9fe:a9fe::]',
        `listed.test@${METADATA}`,
        `listed.test:80@${METADATA}`,
      ],
      ...[
        `${METADATA}#@listed.test`,
        `${METADATA}?@listed.test`,
        `${METADATA}\\\\@listed.test`,
        'listed.test.evil',
      ],
      ...[
        'metadata.sub.test',
        'metadata6.sub.test',
        'both.sub.test',
        `own.sub.test:${own}`,
        'own.sub.test',
      ],
      ...[
        'private.sub.test',
        'private6.sub.test',
        'mapped.sub.test',
        'nobody.sub.test',
        'sub.test',
        'xsub.test',
      ],
      ...[
        `private.sub.test:${own}`,
        'gone.sub.test',
        'listed.test:22',
        'listed.test:25',
        'listed.test:65536',
      ],
    ];
    const answers = await world.ask<[string, number, number][]>(
      'ann',
      `${ASK}
print(json.dumps([[each, status(get(each)), status(connect(each if each.count(":") - 8 * each.startswith("[") == 1 else each + ":80"))] for each in ${JSON.stringify(spelt)}]))`,
    );
    const wrong = answers.filter(
      ([, ...all]) => !all.every((each) => [400, 403, 502].includes(each)),
    );
    expect(wrong).toEqual([]);
    expect(forbidden()).toEqual(before);
    const listedBefore = world.connectionsTo('listed');
    const redirect = `/to?${encodeURIComponent(`http://${METADATA}/latest/meta-data`)}`;
    const [followed, sentence] = await world.ask<string[]>(
      'ann',
      `${ASK}
import subprocess
print(json.dumps([subprocess.run(["curl", "-sLp", "-o", "/dev/null", "-w", "%{http_code} %{num_redirects}", "http://listed.test${redirect}"], capture_output=True, text=True).stdout, get("evil.test")]))`,
    );
    expect(followed).toMatch(/^(000|403) 1$/);
    expect(sentence).toMatch(/^HTTP\/1\.1 403 evil\.test:80 is not in EGRESS_ALLOW\.\r\n/);
    expect(world.connectionsTo('listed')).toBe(listedBefore + 1);
    expect(forbidden()).toEqual(before);
  });

  it('a name whose address changes at each look-up is resolved once for each connection', async () => {
    const before = forbidden();
    const statuses = await world.ask<number[]>(
      'ann',
      `${ASK}
print(json.dumps([status(get("rebind.sub.test")) for _ in range(8)]))`,
    );
    expect(statuses).toEqual([200, 403, 200, 403, 200, 403, 200, 403]);
    expect(forbidden()).toEqual(before);
  });

  it('no request can be smuggled behind another, and a Host header does not change the host', async () => {
    const before = forbidden();
    const listedBefore = world.connectionsTo('listed');
    const evil = `GET http://${METADATA}/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n`;
    const answers = await world.ask<number[]>(
      'ann',
      `${ASK}
evil = "${evil}"
head = "POST http://listed.test/ HTTP/1.1\\r\\nHost: ${METADATA}\\r\\n"
print(json.dumps([status(ask(head + rest + evil)) for rest in (
  "Content-Length: 0\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
  "Content-Length: 1\\r\\nContent-Length: 90\\r\\n\\r\\nx",
  "Transfer-Encoding: chunked, identity\\r\\n\\r\\n0\\r\\n\\r\\n",
  "Transfer-Encoding : chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
  "X: 1\\r\\n Transfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
  "Content-Length: 0\\r\\n\\r\\n",
)]))`,
    );
    expect(answers).toEqual([400, 400, 400, 400, 400, 200]);
    expect(world.connectionsTo('listed')).toBe(listedBefore + 1);
    expect(forbidden()).toEqual(before);
  });

  it('slow and many connections of one session do not hinder another session, and each ends', async () => {
    const flood = world.ask<Record<string, number>>(
      'mallory',
      `${ASK}
held = []
def hold(count, text):
    for _ in range(count):
        try:
            code = socket.create_connection(PROXY, timeout=1)
            code.sendall(text)
            held.append(code)
        except OSError: pass
hold(${MAX_CONNECTIONS}, b"GET http://listed.test/ HTTP/1.1\\r\\nX: ")
hold(200, b"CONNECT listed.test:80 HTTP/1.1\\r\\n\\r\\n")
time.sleep(4)
for code in held: code.close()
time.sleep(1)
print(json.dumps({"held": len(held), "after": status(get("listed.test"))}))`,
    );
    flood.catch(() => undefined);
    await until('the flood', async () => (await metric('cellhouse_egress_connections')) > 0);
    const statuses = await world.ask<number[]>(
      'ann',
      `${ASK}
print(json.dumps([status(get("listed.test")) for _ in range(10)]))`,
    );
    expect(statuses).toEqual(Array(10).fill(200));
    // Mallory's connections up to the limit of a worker, and one of Ann's.
    expect(await metric('cellhouse_egress_connections')).toBeLessThanOrEqual(MAX_CONNECTIONS + 1);
    expect(await flood).toMatchObject({ after: 200 });
  });

  it('refused connections and sent bytes are counted', async () => {
    const refused = await metric('cellhouse_egress_connections_total{outcome="not-listed"}');
    expect(refused).toBeGreaterThan(10);
    expect(await metric('cellhouse_egress_bytes_total{direction="sent"}')).toBeGreaterThan(
      1_000_000,
    );
  });

  it('the next connections work within 3 s after the gateway was killed', async () => {
    const running = world.gateway.graphql<{ submit: { id: string } }>(
      `mutation Run($code: String!) { submit(input: {userUuid: "ann", code: $code, timeoutMs: 60000}) { id } }`,
      {
        code: `${ASK}
open_one = socket.create_connection(PROXY, timeout=30)
open_one.sendall(b"CONNECT listed.test:80 HTTP/1.1\\r\\n\\r\\n")
head = open_one.recv(100)
print("connected", flush=True)
try: rest = open_one.recv(100)
except OSError as error: rest = b""
broken = time.monotonic()
while True:
    try:
        if get("listed.test").startswith("HTTP/1.1 200"): break
    except OSError: pass
    time.sleep(0.05)
print(json.dumps({"first": head.decode()[:12], "rest": rest.decode(), "seconds": time.monotonic() - broken}))`,
      },
    );
    const id = (await running).data?.submit.id;
    await until('the connection', async () => (await metric('cellhouse_egress_connections')) === 1);
    await world.gateway.kill('SIGKILL');
    await world.gateway.restart();
    const restarted = performance.now();
    const stdout = await until('the end of the code', async () => {
      const { data } = await world.gateway.graphql<{
        execution: { status: string; stdout: string };
      }>('query ($id: ID!) { execution(id: $id) { status stdout } }', { id });
      return data?.execution.status === 'OK' && data.execution.stdout;
    });
    expect(performance.now() - restarted).toBeLessThan(3_000);
    expect(JSON.parse(stdout.split('\n')[1] ?? '')).toMatchObject({
      first: 'HTTP/1.1 200',
      rest: '',
    });
  });

  async function metric(name: string): Promise<number> {
    const { url, token } = world.gateway;
    const answer = await fetch(`${url}/metrics`, { headers: { 'X-Auth-Token': token } });
    const line = (await answer.text()).split('\n').find((each) => each.startsWith(`${name} `));
    return Number(line?.split(' ')[1] ?? 0);
  }
});
