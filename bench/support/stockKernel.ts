/** A stock ipykernel in a container of the worker image, to compare with. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface StockRun {
  /** As the kernel's own client measured it. */
  readonly ms: number;
  /** Characters that were printed, and pictures that were shown. */
  readonly printed: number;
  readonly runs: number;
}

export interface StockKernel {
  /** Runs code; resolves with the milliseconds that the kernel's client measured. @throws Error if it failed */
  roundTrip(code: string): Promise<number>;
  /** The same, and how much came. @param seconds again and again for so long, instead of once */
  run(code: string, seconds?: number): Promise<StockRun>;
  /** Restarts it; resolves with the milliseconds until it had answered the next code. */
  restart(): Promise<number>;
  readonly containerName: string;
  close(): Promise<void>;
}

/** Without any limit, so that it is as fast as it can be. @throws Error with what the container said last */
export async function startStockKernel(image: string): Promise<StockKernel> {
  // From the project's root: what is compiled lies elsewhere.
  const script = readFileSync('bench/stockKernel.py', 'utf8');
  const user = ['--user', '64002:64002', '--env', 'HOME=/tmp', '--workdir', '/tmp'];
  const containerName = `cellhouse-bench-${randomUUID()}`;
  const name = ['--name', containerName];
  const command = ['--entrypoint', 'python3', image, '-u', '-c', script];
  const child = spawn(
    'docker',
    ['run', '--interactive', '--rm', '--network', 'none', ...name, ...user, ...command],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('The stock kernel ended; what it said is above.');
    return value;
  };
  const obey = async (order: object): Promise<StockRun> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const [ms, printed, runs] = (await nextLine()).split(' ').map(Number);
    if (ms === undefined || printed === undefined || runs === undefined)
      throw new Error('It said nonsense.');
    return { ms, printed, runs };
  };
  await nextLine();
  return {
    roundTrip: async (code) => (await obey({ code })).ms,
    run: (code, seconds = 0) => obey({ code, seconds }),
    restart: async () => (await obey({ restart: true })).ms,
    containerName,
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
