/**
 * Measures the time from a call of `createContext` until it is answered, when the new context's kernel is ready, beside
 * the start of a whole worker; and the memory (PSS) of each context, beside that of a whole worker. It needs root,
 * because it reads the memory maps of other users' processes.
 *
 * `npm run bench -- contexts [--samples N]`
 */
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { containerOf, createContext, deleteContext, execute } from '../testkit/interpreter.ts';
import type { Bench, BenchResult, Comparison, Samples } from './suite/bench.ts';
import { percentilesOf } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { startPlainContainers } from './support/newUsers.ts';
import { listProcesses, pssMib } from './support/processes.ts';
import { USUAL_IMPORTS } from './support/stockKernel.ts';

const USER = 'contexts';
const WARM_UP = 2;
/** A new context must be ready within this time, at the median. */
const TARGET_MS = 200;
/** All of them exist at the same time, each in use. */
const WORKERS = 3;
const CONTEXTS_EACH = 4;

export const contextsBench: Bench = {
  name: 'contexts',
  about: 'time until a new context is ready, and its memory, beside a whole worker; as root',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const samples = { type: 'string', default: isShort ? '8' : '30' } as const;
    const { values } = parseArgs({ args: [...args], options: { samples } });
    const gateway = await startTestGateway({ LOG_LEVEL: 'warn', MIN_IDLE_WORKERS: '1' });
    try {
      const { comparisons, figures } = await measureStart(gateway, Number(values.samples));
      say('start: done');
      return { comparisons: [...comparisons, await measureMemory(gateway)], figures };
    } finally {
      await gateway.destroy();
    }
  },
};

async function measureStart(gateway: TestGateway, samples: number): Promise<BenchResult> {
  await execute(gateway, USER, '1');
  const [base, measured] = await takeTurns(
    [
      {
        name: 'a worker, until its health answers',
        roundTrip: async () => (await startPlainContainers(1))[0] ?? Number.NaN,
      },
      { name: 'createContext', roundTrip: () => timeOfNew(gateway) },
    ],
    { samples, warmUp: WARM_UP },
  );
  const { p50, p95 } = percentilesOf(measured.values);
  const target = { atMost: TARGET_MS };
  return {
    comparisons: [{ name: 'ready', unit: 'ms', base, measured }],
    figures: [
      { name: 'until a new context is ready, p50', unit: 'ms', value: p50, target },
      { name: 'until a new context is ready, p95', unit: 'ms', value: p95 },
    ],
  };
}

async function timeOfNew(gateway: TestGateway): Promise<number> {
  const startedAt = performance.now();
  const { id, status } = await createContext(gateway, USER);
  const tookMs = performance.now() - startedAt;
  if (status !== 'READY') throw new Error(`A new context is ${status}.`);
  await use(gateway, USER, id);
  await deleteContext(gateway, USER, id);
  return tookMs;
}

/** Runs the usual imports, so that the kernel is like one in use. */
async function use(
  gateway: TestGateway,
  user: string,
  contextId: string | null = null,
): Promise<void> {
  const { status, error } = await execute(gateway, user, USUAL_IMPORTS, { contextId });
  if (status !== 'OK') throw new Error(JSON.stringify(error));
}

async function measureMemory(gateway: TestGateway): Promise<Comparison> {
  const users = Array.from({ length: WORKERS }, (_, number) => `${USER} ${number}`);
  for (const user of users) await use(gateway, user);
  const worker = await pssOfEach(gateway, users, 'a worker with its default context');
  for (const user of users)
    for (let count = 0; count < CONTEXTS_EACH; count += 1)
      await use(gateway, user, (await createContext(gateway, user)).id);
  const { values } = await pssOfEach(gateway, users, 'all');
  const measured = {
    name: 'each further context',
    values: values.map((mib, at) => (mib - (worker.values[at] ?? Number.NaN)) / CONTEXTS_EACH),
  };
  const name = `PSS of each, ${CONTEXTS_EACH} in each of ${WORKERS} workers`;
  return { name, unit: 'MiB', base: worker, measured };
}

/** The memory of all processes of each user's worker. */
async function pssOfEach(
  gateway: TestGateway,
  users: readonly string[],
  name: string,
): Promise<Samples> {
  const values: number[] = [];
  for (const user of users) {
    const processes = await listProcesses(await containerOf(gateway, user));
    values.push(processes.reduce((sum, { pid }) => sum + pssMib(pid), 0));
  }
  return { name, values };
}
