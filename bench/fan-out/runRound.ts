/** One round: an execution prints for some seconds, and many followers follow it. */
import type { TestGateway } from '../../testkit/gateway.ts';
import { interrupt, printed, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { cpuMs } from '../support/cpuMs.ts';
import { readMetrics } from './gatewayLoad.ts';
import { openFollowers } from './openFollowers.ts';

export const PRINTS = 25;
/** Pause between prints: long enough that a print reaches all followers before the next one, even on this machine. */
const LEAST_PAUSE_S = 0.05;
const PAUSE_OF_A_FOLLOWER_S = 0.00016;
const USER = 'bench';
const TIMEOUT_MS = 120_000;
const MS_PER_S = 1_000;

export interface Round {
  /** For each print, the milliseconds until the last follower received it. */
  readonly lastMs: readonly number[];
  readonly cpuMs: number;
  readonly loopDelayMs: number;
}

/** @throws Error if a follower missed a print */
export async function runRound(gateway: TestGateway, count: number): Promise<Round> {
  // An earlier execution of the user delays the measured one, so that all followers are there before it begins.
  const before = await submit(gateway, USER, 'print()\nimport time\ntime.sleep(100)', {
    timeoutMs: TIMEOUT_MS,
  });
  const client = gateway.socket();
  await printed(client, before.id, 1);
  await client.dispose();
  const code = `for _ in range(${PRINTS}):
    time.sleep(${Math.max(LEAST_PAUSE_S, count * PAUSE_OF_A_FOLLOWER_S)})
    print(time.time())`;
  const { id } = await submit(gateway, USER, code, { timeoutMs: TIMEOUT_MS });
  const followers = await openFollowers(gateway, id, count);
  try {
    await until('all follow', async () => (await readMetrics(gateway)).followers === count);
    const cpuBefore = cpuMs(gateway.pid);
    await interrupt(gateway, before.id);
    const arrivals = [...(await followers.arrivals)];
    const missed = arrivals.filter(([, arrival]) => arrival.followers !== count);
    if (arrivals.length !== PRINTS || missed.length > 0)
      throw new Error(`${arrivals.length} prints came, ${missed.length} not to all.`);
    return {
      lastMs: arrivals.map(([printedAt, { lastAt }]) => lastAt - Number(printedAt) * MS_PER_S),
      cpuMs: cpuMs(gateway.pid) - cpuBefore,
      loopDelayMs: (await readMetrics(gateway)).loopDelayMs,
    };
  } finally {
    followers.close();
  }
}
