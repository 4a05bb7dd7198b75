/** Starts a stock ipykernel in a container of the worker image, for comparison. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface StockRun {
  /** The time measured by the kernel's own client. */
  readonly ms: number;
  /** The number of printed characters plus that of shown pictures. */
  readonly printed: number;
  readonly runs: number;
}

interface StockKernel {
  /** Runs code. Resolves with the milliseconds that the kernel's client measured. @throws Error if it failed */
  roundTrip(code: string): Promise<number>;
  /** Like `roundTrip`, with the amount of output. @param seconds repeat for this long instead of running once */
  run(code: string, seconds?: number): Promise<StockRun>;
  /** Restarts the kernel. Resolves with the milliseconds until it has answered the next code. */
  restart(): Promise<number>;
  readonly containerName: string;
  close(): Promise<void>;
}

/** The container has no limits, so that the kernel is as fast as possible. @throws Error if the kernel ends early */
export async function startStockKernel(image: string): Promise<StockKernel> {
  // Relative to the project's root, because the compiled file is elsewhere.
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
    if (done) throw new Error('The stock kernel has ended. Its output is above.');
    return value;
  };
  const obey = async (order: object): Promise<StockRun> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const [ms, printed, runs] = (await nextLine()).split(' ').map(Number);
    if (ms === undefined || printed === undefined || runs === undefined)
      throw new Error('The stock kernel gave an invalid answer.');
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

/** What a worker's kernel has imported before any code runs. For comparison, the stock kernel imports it too. */
export const USUAL_IMPORTS = 'import numpy, pandas, matplotlib.pyplot';
