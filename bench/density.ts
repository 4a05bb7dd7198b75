/**
 * Measures the memory of an idle worker: the proportional set size of all its processes (PSS, in which shared memory is
 * divided among its users), compared with the one process of a stock kernel. Equally many of both run at the same time,
 * with numpy, pandas and matplotlib imported. Then it measures how much a gateway's heap grows for each open session,
 * and with each 1,000 executions. It needs root, because it reads the memory maps of other users' processes.
 *
 * `npm run bench -- density [--count N]`
 */
import { parseArgs } from 'node:util';
import { startAgent } from '../testkit/agentServer.ts';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { createKernelRunner } from '../testkit/kernelRunner.ts';
import { workerImage } from '../testkit/workerImage.ts';
import type { Bench, BenchResult, BenchRun, Comparison, Figure } from './suite/bench.ts';
import { openInspector } from './support/holdings.ts';
import { httpExecute } from './support/httpExecute.ts';
import { WAIT_MS } from './support/newUsers.ts';
import { listProcesses, type ProcessInfo, pssMib } from './support/processes.ts';
import { startStockKernel, USUAL_IMPORTS } from './support/stockKernel.ts';

const COUNT = '4';
const STOCK_KERNEL = 'ipykernel_launcher';
/** How many characters of a command line are shown. Its end identifies the process. */
const COMMAND_CHARS = 44;

interface Started {
  readonly processes: readonly ProcessInfo[];
  close(): Promise<void>;
}

export const densityBench: Bench = {
  name: 'density',
  about: 'memory of idle workers beside as many stock kernels with the same imports; as root',
  isInBareRun: true,
  run: async (run) => {
    const { values } = parseArgs({
      args: [...run.args],
      options: { count: { type: 'string', default: COUNT } },
    });
    const count = Number(values.count);
    const { comparisons, figures } = await compareWorkers(count);
    return { comparisons, figures: [...figures, ...(await measureGatewayMemory(count, run))] };
  },
};

async function compareWorkers(count: number): Promise<BenchResult> {
  const stock: Started[] = [];
  const worker: Started[] = [];
  try {
    for (let turn = 0; turn < count; turn += 1) {
      stock.push(await startStock());
      worker.push(await startWorker());
    }
    return measure(stock, worker);
  } finally {
    for (const { close } of [...stock, ...worker]) await close();
  }
}

async function startStock(): Promise<Started> {
  const stock = await startStockKernel(workerImage());
  await stock.roundTrip(USUAL_IMPORTS);
  // The kernel's client is in the same container, but does not count.
  const processes = (await listProcesses(stock.containerName)).filter(({ command }) =>
    command.includes(STOCK_KERNEL),
  );
  return { processes, close: () => stock.close() };
}

async function startWorker(): Promise<Started> {
  const agent = await startAgent();
  const runner = createKernelRunner(agent.address);
  const { outcome } = await runner.run(USUAL_IMPORTS);
  if (outcome.status !== 'OK') throw new Error(JSON.stringify(outcome));
  const close = async (): Promise<void> => {
    await runner.close();
    await agent.close();
  };
  return { processes: await listProcesses(agent.containerId), close };
}

function measure(stock: readonly Started[], worker: readonly Started[]): BenchResult {
  const mibOf = (all: readonly Started[]) =>
    all.map(({ processes }) => processes.reduce((sum, { pid }) => sum + pssMib(pid), 0));
  const comparison: Comparison = {
    name: `PSS of each, ${worker.length} of both alive`,
    unit: 'MiB',
    base: { name: 'stock kernel', values: mibOf(stock) },
    measured: { name: 'worker', values: mibOf(worker) },
    target: { atMost: 1.3 },
  };
  const figures = (worker[0]?.processes ?? []).map(({ pid, command }) => ({
    name: `of the first: ${command.slice(-COMMAND_CHARS)}`,
    unit: 'MiB',
    value: pssMib(pid),
  }));
  const all = mibOf(worker).reduce((sum, mib) => sum + mib, 0);
  const total = { name: `PSS of all ${worker.length} workers`, unit: 'MiB', value: all };
  return { comparisons: [comparison], figures: [total, ...figures] };
}

// Measures how much sessions and executions make a gateway's heap grow.

/** Time for compilers and caches to fill up. `bench -- endurance` shows how long that takes. */
const WARM_UP_EXECUTES = 4_000;
const EXECUTES = 4_000;
const SHORT_EXECUTES = 400;
const USERS_AT_WORK = 2;
const BYTES_PER_KIB = 1_024;
const BYTES_PER_MIB = 1_048_576;

/** @param sessions how many sessions are opened at once and then left idle */
async function measureGatewayMemory(
  sessions: number,
  { isShort, say }: BenchRun,
): Promise<Figure[]> {
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '0',
    MAX_TOTAL_WORKERS: String(USERS_AT_WORK + sessions),
    WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
    NODE_OPTIONS: '--inspect=127.0.0.1:0',
  });
  try {
    const inspector = await openInspector(gateway.log());
    const live = async () => (await inspector.look()).liveBytes;
    await work(gateway, isShort ? SHORT_EXECUTES : WARM_UP_EXECUTES);
    const warm = await live();
    const executes = isShort ? SHORT_EXECUTES : EXECUTES;
    await work(gateway, executes);
    const worked = await live();
    say(`${sessions} sessions of one gateway`);
    await Promise.all(
      Array.from({ length: sessions }, (_, n) =>
        httpExecute({ ...gateway, userUuid: `idle-${n}` })('1+1', '2'),
      ),
    );
    const open = await live();
    inspector.close();
    return [
      { name: 'gateway: data after collection', unit: 'MiB', value: warm / BYTES_PER_MIB },
      {
        name: 'gateway: more per 1,000 executions',
        unit: 'KiB',
        value: ((worked - warm) / BYTES_PER_KIB / executes) * 1_000,
      },
      {
        name: `gateway: more per open session and its connection, of ${sessions}`,
        unit: 'KiB',
        value: (open - worked) / BYTES_PER_KIB / sessions,
      },
    ];
  } finally {
    await gateway.destroy();
  }
}

async function work(gateway: TestGateway, executes: number): Promise<void> {
  const each = Math.ceil(executes / USERS_AT_WORK);
  await Promise.all(
    Array.from({ length: USERS_AT_WORK }, async (_, n) => {
      const execute = httpExecute({ ...gateway, userUuid: `working-${n}` });
      for (let time = 0; time < each; time += 1) await execute('1+1', '2');
    }),
  );
}
