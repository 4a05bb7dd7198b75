/** A stock ipykernel in a container of the worker image, to compare with. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface StockRun {
  /** As the kernel's own client measured it. */
  readonly ms: number;
  readonly printedCharacters: number;
}

export interface StockKernel {
  /** Runs one line of code; resolves with the milliseconds that the kernel's client measured. @throws Error if it failed */
  roundTrip(line: string): Promise<number>;
  /** The same, and how much was printed. */
  run(line: string): Promise<StockRun>;
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
  const run = async (line: string): Promise<StockRun> => {
    child.stdin.write(`${line}\n`);
    const [ms, printedCharacters] = (await nextLine()).split(' ').map(Number);
    if (ms === undefined || printedCharacters === undefined) throw new Error('It said nonsense.');
    return { ms, printedCharacters };
  };
  const timeOf = async (line: string): Promise<number> => (await run(line)).ms;
  await nextLine();
  return {
    roundTrip: timeOf,
    run,
    restart: () => timeOf('%restart'),
    containerName,
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
