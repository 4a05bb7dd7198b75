/**
 * Measures files through the gateway's HTTP: 100 MB up and down, beside `docker exec -i <worker> cat` in the same worker;
 * 1,000 files of 4 KB, one after the other and eight at a time; and the listing of a folder with 10,000 files.
 *
 * `npm run bench -- files [--samples N] [--mb N]`
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { WORKER_HOME } from '../src/domain/worker.ts';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { containerOf, execute } from '../testkit/interpreter.ts';
import type { Bench, BenchResult, Comparison, Figure } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';

const USER = 'files';
/** The home, which is half of the disk, has room for the old and the new file of the largest transfer. */
const DISK_MB = 1_024;
const WARM_UP = 2;
const SMALL_FILES = 1_000;
const SMALL_BYTES = 4_096;
const AT_A_TIME = 8;
const LISTED = 10_000;
const PAGE = 1_000;
/** A transfer must be at least as fast as the same through the engine. */
const TARGET = { atMost: 1 } as const;

export const filesBench: Bench = {
  name: 'files',
  about: '100 MB up and down over HTTP, beside docker exec; many small files; a large listing',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        samples: { type: 'string', default: isShort ? '5' : '30' },
        mb: { type: 'string', default: '100' },
      },
    });
    const settings = { LOG_LEVEL: 'warn', MIN_IDLE_WORKERS: '1', WORKER_DISK_MB: String(DISK_MB) };
    const gateway = await startTestGateway(settings);
    try {
      await execute(gateway, USER, '1');
      const http = createHttpTransfers(gateway, USER);
      const exec = createExecTransfers(await containerOf(gateway, USER));
      const samples = Number(values.samples);
      const comparisons = await measureLarge(http, exec, { samples, mb: Number(values.mb) });
      say('large files: done');
      const figures = [...(await measureSmall(http)), await measureListing(gateway)];
      return { comparisons, figures } satisfies BenchResult;
    } finally {
      await gateway.destroy();
    }
  },
};

async function measureLarge(
  http: Transfers,
  exec: Transfers,
  { samples, mb }: { samples: number; mb: number },
): Promise<Comparison[]> {
  const bytes = mb * 1_000_000;
  const turns = { samples, warmUp: WARM_UP };
  const each = async (what: 'up' | 'down', name: string): Promise<Comparison> => {
    const [base, measured] = await takeTurns(
      [
        { name: 'docker exec -i cat', roundTrip: () => exec[what]('by-exec', bytes) },
        { name: 'over HTTP', roundTrip: () => http[what]('by-http', bytes) },
      ],
      turns,
    );
    return { name, unit: 'ms', base, measured, target: TARGET };
  };
  return [await each('up', `${mb} MB up`), await each('down', `${mb} MB down`)];
}

async function measureSmall(http: Transfers): Promise<Figure[]> {
  const names = Array.from({ length: SMALL_FILES }, (_, number) => `small/${number}`);
  const figure = (name: string, value: number): Figure => ({ name, unit: 'ms', value });
  const alone: Record<'up' | 'down', number[]> = { up: [], down: [] };
  for (const what of ['up', 'down'] as const)
    for (const name of names) alone[what].push(await http[what](name, SMALL_BYTES));
  const startedAt = performance.now();
  const waiting = [...names];
  const work = async (): Promise<void> => {
    for (let name = waiting.pop(); name; name = waiting.pop()) await http.up(name, SMALL_BYTES);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  const all = performance.now() - startedAt;
  return [
    figure('a file of 4 KB up, p50', percentile(alone.up, 50)),
    figure('a file of 4 KB down, p50', percentile(alone.down, 50)),
    figure(`${SMALL_FILES} files of 4 KB up, ${AT_A_TIME} at a time`, all),
  ];
}

const LIST =
  'query ($user: String!, $first: Int, $after: String) { files(userUuid: $user, path: "many", first: $first, after: $after) { edges { node { name size } } pageInfo { hasNextPage endCursor } } }';

interface Listed {
  readonly files: {
    readonly edges: readonly unknown[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

async function measureListing(gateway: TestGateway): Promise<Figure> {
  await execute(
    gateway,
    USER,
    `import os\nos.mkdir("many")\nfor n in range(${LISTED}): os.close(os.open(f"many/{n}", os.O_CREAT))`,
  );
  const startedAt = performance.now();
  let count = 0;
  let after: string | null = null;
  do {
    const { edges, pageInfo } = await listed(gateway, after);
    count += edges.length;
    after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
  } while (after !== null);
  if (count !== LISTED) throw new Error(`${count} of ${LISTED} files are listed.`);
  const name = `a listing of ${LISTED} files, in pages of ${PAGE}`;
  return { name, unit: 'ms', value: performance.now() - startedAt };
}

async function listed(gateway: TestGateway, after: string | null): Promise<Listed['files']> {
  const answer = await gateway.graphql<Listed>(LIST, { user: USER, first: PAGE, after });
  if (!answer.data) throw new Error(JSON.stringify(answer.errors));
  return answer.data.files;
}

// Two ways to move a file to a worker and back. Each resolves with the milliseconds from the start to the last byte.

/** The client sends pieces of this size. Their content is random, so nothing on the way can compress it. */
const PIECE = randomBytes(262_144);
/** The user that user code runs as. */
const USER_ID = '64002';

export interface Transfers {
  /** Writes a file of this many bytes. @throws Error if it was refused */
  up(name: string, bytes: number): Promise<number>;
  /** Reads a file. @throws Error if it does not have this many bytes */
  down(name: string, bytes: number): Promise<number>;
}

/** This many random bytes. */
export function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE.length)
    yield left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
}

/** Reads a stream. @throws Error if it does not have this many bytes */
export async function count(stream: AsyncIterable<Buffer>, bytes: number): Promise<void> {
  let received = 0;
  for await (const chunk of stream) received += chunk.length;
  if (received !== bytes) throw new Error(`${received} instead of ${bytes} bytes have arrived.`);
}

/** Over the gateway's `/files`, with kept connections. */
export function createHttpTransfers({ url, token }: TestGateway, userUuid: string): Transfers {
  const agent = new Agent({ keepAlive: true });
  const ask = async (
    method: string,
    name: string,
    bytes: number | null,
  ): Promise<IncomingMessage> => {
    const length = bytes === null ? {} : { 'content-length': bytes };
    const call = request(`${url}/files/${userUuid}/${name}`, {
      method,
      agent,
      headers: { 'x-auth-token': token, ...length },
    });
    const answered = once(call, 'response');
    if (bytes === null) call.end();
    else await pipeline(Readable.from(pieces(bytes)), call);
    const [answer] = (await answered) as [IncomingMessage];
    if ((answer.statusCode ?? 500) >= 300) throw new Error(await text(answer));
    return answer;
  };
  return {
    up: async (name, bytes) => {
      const startedAt = performance.now();
      await text(await ask('PUT', name, bytes));
      return performance.now() - startedAt;
    },
    down: async (name, bytes) => {
      const startedAt = performance.now();
      await count(await ask('GET', name, null), bytes);
      return performance.now() - startedAt;
    },
  };
}

/** With the engine's own `docker exec`, as the user. */
function createExecTransfers(container: string): Transfers {
  const run = (command: string) =>
    spawn('docker', ['exec', '-i', '-u', USER_ID, container, 'sh', '-c', command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  return {
    up: async (name, bytes) => {
      const startedAt = performance.now();
      const child = run(`cat > ${WORKER_HOME}/${name}`);
      const ended = once(child, 'close');
      await pipeline(Readable.from(pieces(bytes)), child.stdin);
      const [code] = await ended;
      if (code !== 0) throw new Error(`docker exec has ended with ${code}.`);
      return performance.now() - startedAt;
    },
    down: async (name, bytes) => {
      const startedAt = performance.now();
      const child = run(`cat ${WORKER_HOME}/${name}`);
      child.stdin.end();
      await count(child.stdout, bytes);
      return performance.now() - startedAt;
    },
  };
}
