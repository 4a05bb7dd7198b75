/**
 * Measures how long thirty new users wait for their first answer if all come at once and no worker is idle. The
 * baseline is thirty plain containers of the same image and limits, all started at once, until each one's health check
 * answers. Meanwhile a user with a session keeps calling. Its calls while the plain containers start show how much the
 * CPU load alone costs. Both cases take turns in one run.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import type { Bench, BenchResult, Comparison } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { httpExecute } from './support/httpExecute.ts';
import { leave, serveNewUsers, startPlainContainers, WAIT_MS } from './support/newUsers.ts';

const USERS = 30;
/** Each round keeps two CPUs busy for half a minute. */
const ROUNDS = 3;
/** Pause between two calls of the user with a session. */
const PROBE_PAUSE_MS = 50;
const QUIET_MS = 3_000;

export const burstBench: Bench = {
  name: 'burst',
  about: 'thirty new users at once with no idle worker, beside thirty plain containers',
  isInBareRun: false,
  run: async ({ isShort, say }) => {
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      MIN_IDLE_WORKERS: '0',
      MAX_TOTAL_WORKERS: String(USERS + 1),
      WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
    });
    try {
      return await measure(gateway, isShort ? 1 : ROUNDS, say);
    } finally {
      await gateway.destroy();
    }
  },
};

async function measure(
  gateway: TestGateway,
  rounds: number,
  say: (line: string) => void,
): Promise<BenchResult> {
  const probe = httpExecute({ url: gateway.url, token: gateway.token, userUuid: 'live' });
  await probe('1+1', '2');
  const [quietMs] = await beside(probe, () => delay(QUIET_MS));
  const took = { plain: [] as number[], burst: [] as number[] };
  const last = { plain: [] as number[], burst: [] as number[] };
  const probed = { plain: [] as number[], burst: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const [besidePlain, plain] = await beside(probe, () => startPlainContainers(USERS));
    const [besideBurst, burst] = await beside(probe, () => serveNewUsers(gateway, usersOf(round)));
    await leave(gateway, usersOf(round), { busyWorkers: 1, idleWorkers: 0 });
    took.plain.push(...plain);
    took.burst.push(...burst);
    last.plain.push(Math.max(...plain));
    last.burst.push(Math.max(...burst));
    probed.plain.push(...besidePlain);
    probed.burst.push(...besideBurst);
    say(`round ${round + 1} of ${rounds}: the last after ${Math.max(...burst).toFixed(0)} ms`);
  }
  return {
    comparisons: [
      compare(`each of ${USERS}`, took),
      compare(`the last of ${USERS}`, last),
      compare('a call in a session meanwhile', probed),
    ],
    figures: [
      { name: 'a call in a session in quiet, p50', unit: 'ms', value: percentile(quietMs, 50) },
    ],
  };
}

function compare(
  name: string,
  { plain, burst }: Readonly<Record<'plain' | 'burst', readonly number[]>>,
): Comparison {
  const base = { name: 'plain containers', values: plain };
  return { name, unit: 'ms', base, measured: { name: 'new users', values: burst } };
}

/** Runs `work` while the user with a session keeps calling. Resolves with the durations of the calls and its result. */
async function beside<T>(
  probe: (code: string, expected: string) => Promise<number>,
  work: () => Promise<T>,
): Promise<[number[], T]> {
  const tookMs: number[] = [];
  let isOver = false;
  const probing = (async () => {
    while (!isOver) {
      tookMs.push(await probe('1+1', '2'));
      await delay(PROBE_PAUSE_MS);
    }
  })();
  // A failure of the calls is thrown by the `await` below, when the work is over.
  probing.catch(() => undefined);
  try {
    return [tookMs, await work()];
  } finally {
    isOver = true;
    await probing;
  }
}

function usersOf(round: number): string[] {
  return Array.from({ length: USERS }, (_, index) => `user-${round}-${index}`);
}
