/** Crowds: many users at once, each of whom runs the next cell when the last one has been answered. */
import { cpus } from 'node:os';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import type { RoundTrip } from '../contenders/codeRunner.ts';
import { type PredecessorKind, startPredecessor } from '../contenders/predecessor.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { startStockKernel } from '../support/stockKernel.ts';
import type { Cell } from './cells.ts';

export interface Crowd {
  readonly name: string;
  prepare(cell: Cell): Promise<void>;
  /**
   * Runs all users for this long. @returns executions per second of all together.
   * @throws Error if an answer was wrong
   */
  rate(cell: Cell, seconds: number): Promise<number>;
  close(): Promise<void>;
}

const MS_PER_S = 1_000;

/** Workers get all CPUs, because the systems that Cellhouse is compared with have no limits. */
export async function startCellhouseCrowd(users: number): Promise<Crowd> {
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '0',
    MAX_TOTAL_WORKERS: String(users),
    WORKER_CPUS: String(cpus().length),
    WORKER_WAIT_TIMEOUT_MS: '120000',
  });
  return crowdOf(gateway, users, () => gateway.destroy());
}

/** The users of a gateway that runs already. Each needs a worker. */
export function crowdOf(
  { url, token }: Pick<TestGateway, 'url' | 'token'>,
  users: number,
  close: () => Promise<void> = async () => undefined,
): Crowd {
  const roundTrips = namesOf(users).map((userUuid) => httpExecute({ url, token, userUuid }));
  return ofCallers('execute over HTTP, durable', roundTrips, close);
}

export function predecessorCrowd(kind: PredecessorKind): (users: number) => Promise<Crowd> {
  return async (users) => {
    const predecessor = await startPredecessor({ kind, idleWorkers: users });
    const roundTrips = namesOf(users).map(predecessor.roundTripOf);
    return ofCallers(predecessor.name, roundTrips, () => predecessor.close());
  };
}

function namesOf(users: number): string[] {
  return Array.from({ length: users }, (_, n) => `user-${n}`);
}

function ofCallers(
  name: string,
  roundTrips: readonly RoundTrip[],
  close: () => Promise<void>,
): Crowd {
  let runs = roundTrips.map(() => 0);
  return {
    name,
    prepare: async (cell) => {
      runs = roundTrips.map(() => 0);
      await Promise.all(roundTrips.map((roundTrip) => roundTrip(cell.preparation, '0')));
    },
    rate: async (cell, seconds) => {
      const startedAt = performance.now();
      const rates = roundTrips.map(async (roundTrip, user) => {
        const before = runs[user] ?? 0;
        let n = before;
        while (performance.now() - startedAt < seconds * MS_PER_S) {
          n += 1;
          await roundTrip(cell.code, cell.result(n));
        }
        runs[user] = n;
        return ((n - before) / (performance.now() - startedAt)) * MS_PER_S;
      });
      return sum(await Promise.all(rates));
    },
    close,
  };
}

/** One stock kernel for each user, with its own client beside it. Shows the most that the cores can do. */
export async function startKernelCrowd(users: number): Promise<Crowd> {
  const started = await Promise.allSettled(
    namesOf(users).map(() => startStockKernel(workerImage())),
  );
  const kernels = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const close = async (): Promise<void> => {
    await Promise.all(kernels.map((kernel) => kernel.close()));
  };
  const failed = started.find((each) => each.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return {
    name: 'the kernels alone',
    prepare: async ({ preparation }) => {
      await Promise.all(kernels.map((kernel) => kernel.run(preparation)));
    },
    rate: async ({ code }, seconds) => {
      const done = await Promise.all(kernels.map((kernel) => kernel.run(code, seconds)));
      return sum(done.map((each) => (each.runs / each.ms) * MS_PER_S));
    },
    close,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
