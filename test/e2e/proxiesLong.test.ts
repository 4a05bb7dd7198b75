/** Uploads of a GiB, and streams and calls of 15 minutes, through nginx and Caddy as docs/run/proxy.md sets them up. */
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, submit } from '../../testkit/interpreter.ts';
import { processMemory } from '../../testkit/processMemory.ts';
import {
  ask,
  clock,
  followByEvents,
  followBySocket,
  graphqlCall,
  http1Of,
  http2Of,
  type Open,
  socketOf,
} from '../support/tlsCalls.ts';
import { PROXIES, startTlsProxy, type TlsProxy } from '../support/tlsProxy.ts';

const MIB = 1_048_576;
const FILE_MIB = 1_024;
/** Only half of a worker's disk is for the home, which must hold the file. */
const DISK_MB = 2 * FILE_MIB + 64;
/** How much each process of a proxy may grow. One that kept the file would grow by 1,024 MiB. */
const MORE_MIB = 64;

const MINUTES = 15;
/** Longer than the 15 s after which the gateway sends something on an idle stream. */
const EVERY_SECONDS = 45;
const LINES = (MINUTES * 60) / EVERY_SECONDS;
const HOUR_MS = 3_600_000;
const MAX_DELAY_MS = 2_000;
/** Longer than a worker waits for the rest of an upload, which is 60 s. */
const PAUSE_MS = 100_000;

let gateway: TestGateway;
let proxies: TlsProxy[] = [];
beforeAll(async () => {
  gateway = await startTestGateway({
    MIN_IDLE_WORKERS: '0',
    WORKER_DISK_MB: String(DISK_MB),
    MAX_EXECUTION_TIMEOUT_MS: String(HOUR_MS),
  });
  proxies = await Promise.all(PROXIES.map((name) => startTlsProxy(name, gateway.port)));
});
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.end()));
  await gateway?.destroy();
});

function proxyOf(name: (typeof PROXIES)[number]): TlsProxy {
  const proxy = proxies[PROXIES.indexOf(name)];
  if (!proxy) throw new Error(`${name} has not started.`);
  return proxy;
}

/** The most that a process of the proxy grows while `work` runs, in MiB. */
async function growth(proxy: TlsProxy, work: () => Promise<void>): Promise<number> {
  const before = new Map(proxy.pids().map((pid) => [pid, processMemory(pid, 'RssAnon')]));
  let most = 0;
  const look = () => {
    for (const [pid, mib] of before) most = Math.max(most, processMemory(pid, 'RssAnon') - mib);
  };
  const timer = setInterval(look, 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return most;
}

function* blocks(count: number): Generator<Buffer> {
  const block = Buffer.alloc(MIB, 'x');
  for (let index = 0; index < count; index += 1) yield block;
}
const bytes = (mib: number) =>
  Readable.from(blocks(mib), { objectMode: false, highWaterMark: MIB });

async function put(open: Open, path: string, body: Readable): Promise<unknown> {
  const headers = { 'x-auth-token': gateway.token };
  const { text } = await ask(open, { method: 'PUT', path: `/files/${path}`, headers, body });
  return JSON.parse(text);
}

describe.each(PROXIES)('%s', (name) => {
  it('keeps no part of a large file, neither in memory nor on the disk', async () => {
    const proxy = proxyOf(name);
    const user = `large-${name}`;
    await execute(gateway, user, '1');
    const http2 = http2Of(proxy);
    for (const open of [http1Of(proxy), http2.open]) {
      // The first transfer is not measured: it makes buffers that later transfers use again.
      await put(open, `${user}/large.bin`, bytes(16));
      const more = await growth(proxy, async () => {
        expect(await put(open, `${user}/large.bin`, bytes(FILE_MIB))).toMatchObject({
          size: FILE_MIB * MIB,
        });
      });
      expect(more).toBeLessThan(MORE_MIB);
    }
    http2.close();
    expect(proxy.temporaryFiles()).toEqual([]);
    await gateway.graphql(
      'mutation ($user: String!) { release(input: { userUuid: $user }) { released } }',
      {
        user,
      },
    );
  }, 600_000);
});

/** Follows code that prints the time, over each protocol. */
async function follow(name: string, proxy: TlsProxy): Promise<void> {
  const options = { timeoutMs: HOUR_MS };
  const { id } = await submit(gateway, `stream-${name}`, clock(LINES, EVERY_SECONDS), options);
  const http2 = http2Of(proxy);
  const socket = socketOf(proxy, gateway.token);
  const all = await Promise.all([
    followByEvents(http1Of(proxy), gateway.token, id),
    followByEvents(http2.open, gateway.token, id),
    followBySocket(socket, id),
  ]);
  http2.close();
  await socket.dispose();
  for (const { delaysMs, status } of all) {
    expect(status, name).toBe('OK');
    expect(delaysMs, name).toHaveLength(LINES);
    expect(Math.max(...delaysMs), name).toBeLessThan(MAX_DELAY_MS);
  }
}

/** Waits for a command that prints nothing until its end. Its time limit is an hour. */
async function wait(name: string, open: Open): Promise<void> {
  const call = graphqlCall(
    gateway.token,
    'mutation ($input: ExecuteInput!) { execute(input: $input) { status stdout } }',
    {
      input: {
        ...{ userUuid: `silent-${name}`, language: 'BASH', timeoutMs: HOUR_MS },
        code: `sleep ${MINUTES * 60}; echo awake`,
      },
    },
  );
  const { text } = await ask(open, call);
  expect(JSON.parse(text), name).toEqual({
    data: { execute: { status: 'OK', stdout: 'awake\n' } },
  });
}

/** Uploads a file with a pause that is too long. The gateway says so, and not the proxy. */
async function pause(name: string, open: Open): Promise<void> {
  const user = `pause-${name}`;
  await execute(gateway, user, '1');
  const halves = async function* () {
    yield Buffer.alloc(MIB);
    await delay(PAUSE_MS);
    yield Buffer.alloc(MIB);
  };
  const body = Readable.from(halves(), { objectMode: false });
  expect(await put(open, `${user}/halves.bin`, body), name).toMatchObject({
    code: 'FILE_TIMEOUT',
  });
}

it(
  `streams and silent calls last ${MINUTES} minutes, no output is late, and a stalled upload ends`,
  async () => {
    await Promise.all(
      PROXIES.flatMap((name) => {
        const proxy = proxyOf(name);
        const http2 = http2Of(proxy);
        const [first, second] = [http1Of(proxy), http2.open];
        return [
          follow(name, proxy),
          ...[first, second].map((open) => wait(name, open)),
          ...[first, second].map((open, index) => pause(`${name}-${index}`, open)),
        ];
      }),
    );
  },
  (MINUTES + 4) * 60_000,
);
