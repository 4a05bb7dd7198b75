/** Egress of a real worker: its listener, and the streams on which a gateway gets the connections of code. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { requestAgent } from '../../src/kernel/agent/createAgentCalls.ts';
import { type EgressStreams, openEgressStreams } from '../../src/kernel/egressStreams.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';
import { until } from '../../testkit/until.ts';
import { TIERS } from '../support/probes.ts';

const START_TIMEOUT_MS = 120_000;
const MIB = 1_048_576;
const INDEX = 'http://127.0.0.1:9/simple';
/** Prints the names of the variables that point clients to the proxy. */
const PROXY_VARIABLES =
  'import os; print(sorted(n for n in os.environ if "proxy" in n.lower() or n.startswith("PIP")))';
const CONNECT =
  'import socket\nc = socket.create_connection(("127.0.0.1", 3128)); c.settimeout(20)\n';

describe.each(TIERS)('a worker with egress under %s', (tier) => {
  let agent: AgentServer;
  let runner: KernelRunner;
  let streams: EgressStreams | undefined;
  beforeAll(async () => {
    agent = await startAgent(tier, { CELLHOUSE_EGRESS: 'on', PIP_INDEX_URL: INDEX });
    runner = createKernelRunner(agent.address);
  }, START_TIMEOUT_MS);
  afterEach(() => streams?.close());
  afterAll(async () => {
    await runner?.close();
    await agent?.close();
  });

  const printed = async (code: string) => {
    const ran = await runner.run(code);
    return `${textOf(ran)}${textOf(ran, 'stderr')}${ran.outcome.errorName ?? ''}`;
  };
  function open(onStream: (stream: Duplex) => void, maxConnections = 16, epoch = 1): void {
    const address = socketAddress(agent.socketPath);
    streams = openEgressStreams({ address, epoch, maxConnections, onStream });
  }
  const health = async () => {
    const ask = { method: 'GET', path: '/health', timeoutMs: 5_000, body: null } as const;
    const { body } = await requestAgent(
      socketAddress(agent.socketPath),
      ask,
      new AbortController().signal,
    );
    return JSON.parse(body) as { features: string[] };
  };

  it('announces egress, and its variables point clients to the proxy', async () => {
    expect((await health()).features).toContain('egress');
    const code = `${PROXY_VARIABLES}\nprint(os.environ["https_proxy"], os.environ["no_proxy"], os.environ["PIP_INDEX_URL"])`;
    expect(await printed(code)).toBe(
      `${"['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'PIP_INDEX_URL', 'PIP_TRUSTED_HOST', 'http_proxy', 'https_proxy', 'no_proxy']"}\n` +
        `http://127.0.0.1:3128 localhost,127.0.0.1,::1 ${INDEX}\n`,
    );
  });

  it('carries bytes both ways, and each direction can end alone', async () => {
    open((stream) => {
      let bytes = 0;
      stream.on('data', (data: Buffer) => {
        bytes += data.length;
      });
      // Code has ended its half, and still reads.
      stream.on('end', () => stream.end(`all ${bytes}`));
    });
    const code = `${CONNECT}c.sendall(b"a" * 5_000_000 + b"z"); c.shutdown(socket.SHUT_WR); print(c.makefile().read())`;
    expect(await printed(code)).toBe('all 5000001\n');
  });

  it('serves HTTP to usual clients: Python, curl and git', async () => {
    const seen: string[] = [];
    const server = createServer((request: IncomingMessage, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.end(`hello ${request.headers.host}`);
    });
    server.on('connect', (request: IncomingMessage, stream: Duplex) => {
      seen.push(`CONNECT ${request.url}`);
      stream.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    });
    open((stream) => void server.emit('connection', stream));
    const code = `import subprocess, urllib.request
print(urllib.request.urlopen("http://one.example/a?b=c").read().decode())
for command in ("curl -s http://two.example/", "curl -s https://three.example/; echo $?", "git ls-remote https://four.example/x 2>&1 | grep -o 403"):
    print(subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip())`;
    expect(await printed(code)).toBe('hello one.example\nhello two.example\n56\n403\n');
    expect(seen).toEqual([
      'GET http://one.example/a?b=c',
      'GET http://two.example/',
      'CONNECT three.example:443',
      'CONNECT four.example:443',
    ]);
  });

  it('lets connections beyond the limit wait for earlier ones', async () => {
    let most = 0;
    const accepted: Duplex[] = [];
    open((stream) => {
      accepted.push(stream);
      most = Math.max(most, streams?.taken ?? 0);
      stream.on('data', () => stream.end('done'));
    }, 8);
    const code = `import socket
def connect():
    c = socket.create_connection(("127.0.0.1", 3128)); c.settimeout(20); return c
all = [connect() for _ in range(24)]
for c in all: c.sendall(b"go")
def answer(c):
    with c: return c.recv(9)
print(sum(answer(c) == b"done" for c in all), end="")`;
    expect(await printed(code)).toBe('24');
    expect(accepted).toHaveLength(24);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('holds back a sender while code does not read', async () => {
    const before = await agent.agentBytes();
    const taken: Duplex[] = [];
    open((stream) => taken.push(stream), 32);
    await runner.run(
      'import socket\nkept = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(32)]',
    );
    await until('32 streams', async () => taken.length === 32);
    const full = await Promise.all(taken.map(fill));
    expect(Math.max(...full)).toBeLessThan(16 * MIB);
    expect((await agent.agentBytes()) - before).toBeLessThan(32 * MIB);
    expect(await printed('for c in kept: c.close()\nprint("closed")')).toBe('closed\n');
    await until('their ends', async () => streams?.taken === 0);
  });

  it('holds back code while the other side does not read', async () => {
    const before = await agent.agentBytes();
    open((stream) => stream.pause(), 32);
    const code = `import socket, time
kept, sent = [], []
for _ in range(8):
    c = socket.create_connection(("127.0.0.1", 3128)); c.settimeout(0.3); kept.append(c); sent.append(0)
    try:
        while True: sent[-1] += c.send(bytes(65536))
    except TimeoutError: pass
print(max(sent) < 16 * 2**20, min(sent) > 0)`;
    expect(await printed(code)).toBe('True True\n');
    expect((await agent.agentBytes()) - before).toBeLessThan(32 * MIB);
    expect(await printed('for c in kept: c.close()\nprint("closed")')).toBe('closed\n');
  });

  it('lets slow readers and half-open connections hinder nobody', async () => {
    const blocks = new Array(20).fill(Buffer.alloc(MIB));
    open((stream) => {
      Readable.from(blocks).pipe(stream.resume());
    }, 64);
    const code = `import socket, threading, time
def connect():
    c = socket.create_connection(("127.0.0.1", 3128)); c.settimeout(20); return c
over = threading.Event()
def read_slowly(c):
    while not over.wait(0.01): c.recv(1)
slow = [connect() for _ in range(20)]
for c in slow: threading.Thread(target=read_slowly, args=[c]).start()
half = [connect() for _ in range(20)]
for c in half: c.shutdown(socket.SHUT_WR)
began, count, c = time.monotonic(), 0, connect()
while n := len(c.recv(2**20)): count += n
took = time.monotonic() - began
over.set()
for c in slow + half: c.close()
print(count == 20 * 2**20, took < 5 or took)`;
    expect(await printed(code)).toBe('True True\n');
  });

  it('lets 64 connections wait, closes any others, and answers a gateway during a flood', async () => {
    // No gateway is connected yet.
    const code = `import socket, time
began = time.monotonic()
mine = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(100)]
for c in mine: c.settimeout(20)
print({c.recv(1) for c in mine[64:]}, time.monotonic() - began < 5)
print("they wait", flush=True)
def answer(c):
    with c: return c.recv(1)
print({answer(c) for c in mine[:64]})`;
    const waited = printed(code);
    await until('the others wait', async () =>
      runner.recorded.messages.some((message) => JSON.stringify(message).includes('they wait')),
    );
    open((stream) => stream.resume().end('x'));
    expect(await waited).toBe("{b''} True\nthey wait\n{b'x'}\n");
    streams?.close();
    const flood = `import socket, time
end, count = time.monotonic() + 1, 0
while time.monotonic() < end:
    try: socket.create_connection(("127.0.0.1", 3128), timeout=1).close(); count += 1
    except OSError: pass
print(count > 100)`;
    const flooded = printed(flood);
    for (let asked = 0; asked < 10; asked += 1) await health();
    expect(await flooded).toBe('True\n');
    // The flood leaves connections behind. They end once a gateway gets them, and then there is room again.
    open((stream) => stream.resume().end('x'));
    await printed(`import time
for _ in range(100):
    try:
        c = socket.create_connection(("127.0.0.1", 3128)); c.settimeout(20)
        if c.recv(1): break
    except OSError: pass
    time.sleep(0.1)`);
    expect(await printed(`${CONNECT}print(c.recv(1))`)).toBe("b'x'\n");
  });

  it('serves one gateway: a connection with a higher epoch closes the streams of the former gateway', async () => {
    const first: Duplex[] = [];
    open((stream) => stream.on('data', () => first.push(stream)));
    const former = streams;
    await printed(`${CONNECT}c.sendall(b"x")`);
    await until('a stream', async () => first.length === 1);
    const ended = once(first[0] as Duplex, 'end');
    open((stream) => stream.end('of the second'), 16, 2);
    await ended;
    await runner.close();
    const { lastSeq: after, hello } = runner.recorded.channel;
    runner = createKernelRunner(agent.address, { epoch: 2, after, bootId: hello?.bootId ?? '' });
    expect(await printed('print(c.recv(1))')).toBe("b''\n");
    expect(await printed(`${CONNECT}print(c.makefile().read())`)).toBe('of the second\n');
    former?.close();
  });
});

describe.each(TIERS)('a worker without egress under %s', (tier) => {
  it('has no listener, no variables and no streams', { timeout: START_TIMEOUT_MS }, async () => {
    const agent = await startAgent(tier);
    const runner = createKernelRunner(agent.address);
    try {
      const ran = await runner.run(
        `${PROXY_VARIABLES}\nimport socket; print(socket.socket().connect_ex(("127.0.0.1", 3128)))`,
      );
      expect(textOf(ran)).toBe('[]\n111\n');
      const get = async (path: string) =>
        await requestAgent(
          socketAddress(agent.socketPath),
          { method: 'GET', path, timeoutMs: 5_000, body: null },
          new AbortController().signal,
        );
      expect((await get('/egress?epoch=1')).status).toBe(404);
      expect((await get('/health')).body).not.toContain('egress');
    } finally {
      await runner.close();
      await agent.close();
    }
  });
});

/** Writes until the stream takes nothing more for half a second. @returns how many bytes it has taken */
async function fill(stream: Duplex): Promise<number> {
  const block = Buffer.alloc(65_536);
  for (let taken = 0; ; taken += block.length) {
    if (stream.write(block)) continue;
    const drained = await Promise.race([
      once(stream, 'drain').then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, 500, false)),
    ]);
    if (!drained) return taken;
  }
}
