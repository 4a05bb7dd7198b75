/**
 * Measures connections of code through egress: the time of a new connection with a short answer, and the rates of long
 * answers. The comparison is a program that reaches the same server directly, in a container of the same image on the
 * host's network.
 *
 * `npm run bench -- egress [--samples N] [--transfers N] [--mb N]`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { execute } from '../testkit/interpreter.ts';
import { workerImage } from '../testkit/workerImage.ts';
import type { Bench, BenchResult, Comparison, Figure } from './suite/bench.ts';
import { difference, median } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';

const USER = 'egress';
const WARM_UP = 20;
/** Each turn takes up to a second. */
const TRANSFER_WARM_UP = 1;
const MAX_MORE_MS = 5;
const MIN_RATE = 50;
const MEGABYTE = 1_000_000;
/** As code asks the proxy: for the URL, or for a tunnel. */
const WAYS = { get: 'by URL', connect: 'by CONNECT' } as const;

type Way = keyof typeof WAYS;
type Order = readonly [port: number, path: string, sendBytes: number];
interface Measured {
  readonly seconds: number;
  readonly received: number;
}
/** Makes the ordered request. Resolves with what the client itself has measured. */
type Client = (order: Order) => Promise<Measured>;

export const egressBench: Bench = {
  name: 'egress',
  about: 'a connection, and MB/s, of code through the gateway, beside a direct connection',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        samples: { type: 'string', default: isShort ? '30' : '200' },
        transfers: { type: 'string', default: isShort ? '3' : '10' },
        mb: { type: 'string', default: '100' },
      },
    });
    const server = await startServer(Number(values.mb));
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      MIN_IDLE_WORKERS: '1',
      EGRESS_ALLOW: `127.0.0.1:${server.port}`,
    });
    const direct = startDirect();
    try {
      await execute(gateway, USER, clientSource());
      const measured = { port: server.port, direct: direct.client, gateway };
      const connections = await measureConnections(measured, Number(values.samples));
      say('connections: done');
      const transfers = { count: Number(values.transfers), mb: Number(values.mb) };
      return joined([connections, ...(await measureRates(measured, transfers))]);
    } finally {
      await direct.close();
      await gateway.destroy();
      server.close();
    }
  },
};

interface Setup {
  readonly port: number;
  readonly direct: Client;
  readonly gateway: TestGateway;
}

async function measureConnections(
  { port, direct, gateway }: Setup,
  samples: number,
): Promise<BenchResult> {
  const ms = (client: Client) => async () => (await client([port, '/short', 0])).seconds * 1_000;
  const [base, get, connect] = await takeTurns(
    [
      { name: 'direct', roundTrip: ms(direct) },
      { name: `through egress, ${WAYS.get}`, roundTrip: ms(inSession(gateway, 'get')) },
      { name: `through egress, ${WAYS.connect}`, roundTrip: ms(inSession(gateway, 'connect')) },
    ],
    { samples, warmUp: WARM_UP },
  );
  const name = (way: Way) => `a connection and a short answer, ${WAYS[way]}`;
  return {
    comparisons: [
      { name: name('get'), unit: 'ms', base, measured: get },
      { name: name('connect'), unit: 'ms', base, measured: connect },
    ],
    figures: [
      difference(`${name('get')}: more than direct`, base, get, MAX_MORE_MS),
      difference(`${name('connect')}: more than direct`, base, connect, MAX_MORE_MS),
    ],
  };
}

/** Down by either way, and up by CONNECT. */
async function measureRates(
  { port, direct, gateway }: Setup,
  { count, mb }: { readonly count: number; readonly mb: number },
): Promise<BenchResult[]> {
  const results: BenchResult[] = [];
  for (const { way, name, order, expected } of [
    { way: 'get', name: 'down', order: [port, '/long', 0], expected: mb * MEGABYTE },
    { way: 'connect', name: 'down', order: [port, '/long', 0], expected: mb * MEGABYTE },
    { way: 'connect', name: 'up', order: [port, '/short', mb * MEGABYTE], expected: 2 },
  ] as const) {
    const rate = (client: Client) => async () => {
      const { seconds, received } = await client(order);
      if (received !== expected) throw new Error(`${received} bytes instead of ${expected}.`);
      return mb / seconds;
    };
    const [base, measured] = await takeTurns(
      [
        { name: 'direct', roundTrip: rate(direct) },
        { name: 'through egress', roundTrip: rate(inSession(gateway, way)) },
      ],
      { samples: count, warmUp: TRANSFER_WARM_UP },
    );
    const title = `${mb} MB ${name}, ${WAYS[way]}`;
    results.push({
      comparisons: [{ name: title, unit: 'MB/s', base, measured }],
      figures: [rateFigure(title, measured.values)],
    });
  }
  return results;
}

function rateFigure(title: string, rates: readonly number[]): Figure {
  const target = { atLeast: MIN_RATE };
  return { name: `${title}, p50`, unit: 'MB/s', value: median(rates), target };
}

function joined(results: readonly BenchResult[]): BenchResult {
  const comparisons: Comparison[] = results.flatMap((result) => result.comparisons);
  return { comparisons, figures: results.flatMap(({ figures }) => figures) };
}

/** Relative to the project's root, because the compiled file is elsewhere. */
function clientSource(): string {
  return readFileSync('bench/egressClient.py', 'utf8');
}

function inSession(gateway: TestGateway, way: Way): Client {
  return async (order) => {
    const code = `print(json.dumps(measure("${way}", *${JSON.stringify(order)})))`;
    const { status, stdout, error } = await execute(gateway, USER, code);
    if (status !== 'OK') throw new Error(`${status}: ${error?.name} ${error?.value}`);
    return JSON.parse(stdout ?? '') as Measured;
  };
}

function startDirect(): { readonly client: Client; close(): Promise<void> } {
  const python = ['--entrypoint', 'python3', workerImage(), '-u', '-c', clientSource(), 'direct'];
  const container = ['--interactive', '--rm', '--network', 'host'];
  const child = spawn('docker', ['run', ...container, ...python], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    client: async (order) => {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('The direct program has ended. Its output is above.');
      return JSON.parse(value) as Measured;
    },
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** Answers with two bytes when it has read the request, or with `mb` megabytes. */
async function startServer(mb: number): Promise<{ readonly port: number; close(): void }> {
  const block = Buffer.alloc(MEGABYTE);
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    request.on('end', () => {
      if (request.url === '/long') Readable.from(new Array(mb).fill(block)).pipe(response);
      else response.end('ok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
