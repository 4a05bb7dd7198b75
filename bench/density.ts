/**
 * What an idle worker takes of the machine's memory: the proportional set size (PSS: what is shared counts in parts) of
 * all its processes, beside the one process of a stock kernel. As many of both live at the same time, with numpy, pandas
 * and matplotlib imported. It reads other users' memory maps, so it runs as root.
 */
import { readFileSync } from 'node:fs';
import { createKernelRunner } from '../test/support/kernelRunner.ts';
import { startAgent } from '../test/support/kernelServers.ts';
import { listProcesses, type ProcessInfo } from './support/containerProcesses.ts';
import { startStockKernel } from './support/stockKernel.ts';
import { USUAL_IMPORTS } from './support/usualImports.ts';
import { workerImage } from './support/workerImage.ts';

const COUNT = 4;
const STOCK_KERNEL = 'ipykernel_launcher';
const KIB_PER_MIB = 1024;

interface Started {
  readonly processes: readonly ProcessInfo[];
  close(): Promise<void>;
}

const started: { readonly stock: Started[]; readonly worker: Started[] } = {
  stock: [],
  worker: [],
};
try {
  for (let turn = 0; turn < COUNT; turn += 1) {
    started.stock.push(await startStock());
    started.worker.push(await startWorker());
  }
  print();
} finally {
  for (const { close } of [...started.stock, ...started.worker]) await close();
}

async function startStock(): Promise<Started> {
  const stock = await startStockKernel(workerImage());
  await stock.roundTrip(USUAL_IMPORTS);
  // Its client is in the same container, and does not count.
  const processes = (await listProcesses(stock.containerName)).filter(({ command }) =>
    command.includes(STOCK_KERNEL),
  );
  return { processes, close: () => stock.close() };
}

async function startWorker(): Promise<Started> {
  const agent = await startAgent();
  const runner = createKernelRunner(agent.target);
  const { outcome } = await runner.run(USUAL_IMPORTS);
  if (outcome.status !== 'OK') throw new Error(JSON.stringify(outcome));
  const close = async (): Promise<void> => {
    await runner.close();
    await agent.close();
  };
  return { processes: await listProcesses(agent.containerId), close };
}

function print(): void {
  const mibOf = (all: readonly Started[]) =>
    all.map(({ processes }) => processes.reduce((sum, { pid }) => sum + pssMib(pid), 0));
  const mean = (values: readonly number[]) => values.reduce((sum, one) => sum + one) / COUNT;
  const [stock, worker] = [mean(mibOf(started.stock)), mean(mibOf(started.worker))];
  const row = (name: string, cell: string) => console.log(name.padEnd(60) + cell.padStart(10));
  console.log(`\n${COUNT} stock kernels and ${COUNT} workers alive; mean PSS, MiB`);
  row('stock kernel', stock.toFixed(1));
  row('worker', worker.toFixed(1));
  for (const { pid, command } of started.worker[0]?.processes ?? [])
    row(`  of the first: ${command.slice(-44)}`, pssMib(pid).toFixed(1));
  row('ratio', `${(worker / stock).toFixed(2)}x`);
}

/** @throws Error as anybody but root, or when the process has ended */
function pssMib(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`There is no PSS of process ${pid}.`);
  return Number(kib) / KIB_PER_MIB;
}
