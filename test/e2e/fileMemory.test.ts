/** Large files go through the gateway and the agent without being held in memory. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { containerOf, execute } from '../../testkit/interpreter.ts';
import { processMemory } from '../../testkit/processMemory.ts';
import { EXTENT } from '../extent.ts';
import { askFiles, openFiles } from '../support/fileClient.ts';

const MIB = 1_048_576;
const FILE_MIB = EXTENT.largeFileMib;
/** By how many MiB the gateway, the agent and its helper may each grow. */
const MORE_MIB = 30;
/** Only half of a worker's disk is for the home, which must hold the file. */
const DISK_MB = 2 * FILE_MIB + 64;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({
    MIN_IDLE_WORKERS: '1',
    MAX_TOTAL_WORKERS: '1',
    WORKER_DISK_MB: String(DISK_MB),
  });
});
afterAll(() => gateway?.destroy());

/** The bytes that fill each piece. Each piece begins with its number, so that all differ. */
const PIECE = createHash('sha512').update('any').digest();
function* pieces(count: number): Generator<Buffer> {
  const block = Buffer.alloc(MIB, PIECE);
  for (let index = 0; index < count; index += 1) {
    block.writeUInt32LE(index);
    yield Buffer.from(block);
  }
}

/** The processes of the worker's agent, on the host: the agent and its helper of files. */
async function agentPids(): Promise<number[]> {
  const container = new Docker().getContainer(await containerOf(gateway, 'ann'));
  const { Titles, Processes } = (await container.top({ ps_args: '-eo pid,args' })) as {
    Titles: string[];
    Processes: string[][];
  };
  const pid = Titles.indexOf('PID');
  const command = Titles.length - 1;
  return Processes.filter((row) => /cellhouse_(agent|files)/.test(row[command] ?? '')).map((row) =>
    Number(row[pid]),
  );
}

/** Anonymous memory. It leaves out the stored file, which is in the page cache. */
const memoryOf = (pids: readonly number[]) => pids.map((pid) => processMemory(pid, 'RssAnon'));

/** How much each process grew at most while `work` ran, in MiB. */
async function growth(pids: readonly number[], work: () => Promise<void>): Promise<number[]> {
  const before = memoryOf(pids);
  const most = [...before];
  const look = () => {
    for (const [index, mib] of memoryOf(pids).entries())
      most[index] = Math.max(most[index] ?? 0, mib);
  };
  const timer = setInterval(look, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
    look();
  }
  return most.map((mib, index) => mib - (before[index] ?? 0));
}

it('a large file goes up and down without being held in the memory of gateway or agent', {
  timeout: 300_000,
}, async () => {
  await execute(gateway, 'ann', '1');
  const count = FILE_MIB;
  const hash = createHash('sha256');
  for (const piece of pieces(count)) hash.update(piece);
  const sha256 = hash.digest('hex');
  const path = 'ann/large.bin';
  const up = async (pieceCount: number) => {
    const answer = await askFiles(gateway, {
      method: 'PUT',
      path,
      body: Readable.from(pieces(pieceCount), { objectMode: false, highWaterMark: MIB }),
    });
    return JSON.parse(answer.body.toString()) as { size: number; sha256: string };
  };
  const down = async () => {
    const received = createHash('sha256');
    for await (const chunk of await openFiles(gateway, { method: 'GET', path }))
      received.update(chunk);
    return received.digest('hex');
  };
  // The first transfers are not measured: they make buffers that later transfers use again.
  await up(32);
  await down();
  const pids = [gateway.pid, ...(await agentPids())];
  expect(pids.length).toBeGreaterThanOrEqual(3);
  const more = await growth(pids, async () => {
    expect(await up(count)).toMatchObject({ size: count * MIB, sha256 });
    expect(await down()).toBe(sha256);
  });
  const [ofGateway = 0, ...ofAgent] = more;
  expect(ofGateway).toBeLessThan(MORE_MIB);
  expect(Math.max(...ofAgent)).toBeLessThan(MORE_MIB);
});
