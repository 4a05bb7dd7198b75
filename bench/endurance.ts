/**
 * Runs 24,000 executes over thirty sessions. The memory, handles and file descriptors of the gateway and its agents
 * must be the same at the end as after the first 4,000 executes; otherwise the run exits with 1. The bench needs root
 * to inspect the agents, because they run as another user.
 *
 * `npm run bench -- endurance [--executions N] [--sessions N]`
 */
import { parseArgs } from 'node:util';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { containerOf } from '../testkit/interpreter.ts';
import type { Bench, BenchResult, BenchRun } from './suite/bench.ts';
import type { RoundTrip } from './suite/takeTurns.ts';
import {
  headRow,
  judge,
  type Look,
  lookRow,
  openInspector,
  reportVerdicts,
  takeLook,
} from './support/holdings.ts';
import { httpExecute } from './support/httpExecute.ts';

/** The share of executes that is not judged, because compilers, caches and connection pools still fill up. */
const WARM_UP_SHARE = 1 / 6;
/** How often the memory is measured. Twenty of these times come after the warm-up, which is enough for a trend. */
const LOOKS = 24;
/** Generous, because a busy machine may need long to start thirty workers. */
const WAIT_MS = '300000';

interface Extent {
  readonly executions: number;
  readonly sessions: number;
}

export const enduranceBench: Bench = {
  name: 'endurance',
  about: 'what a gateway and its agents hold does not grow with 24,000 executes; as root',
  isInBareRun: false,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        executions: { type: 'string', default: isShort ? '2400' : '24000' },
        sessions: { type: 'string', default: isShort ? '3' : '30' },
      },
    });
    const extent = { executions: Number(values.executions), sessions: Number(values.sessions) };
    const gateway = await startTestGateway({
      LOG_LEVEL: 'warn',
      MIN_IDLE_WORKERS: '0',
      MAX_TOTAL_WORKERS: values.sessions,
      WORKER_WAIT_TIMEOUT_MS: WAIT_MS,
      NODE_OPTIONS: '--inspect=127.0.0.1:0',
    });
    try {
      return await measure(gateway, extent, say);
    } finally {
      await gateway.destroy();
    }
  },
};

async function measure(
  gateway: TestGateway,
  { executions, sessions }: Extent,
  say: BenchRun['say'],
): Promise<BenchResult> {
  const inspector = await openInspector(gateway.log());
  const users = Array.from({ length: sessions }, (_, n) => `user-${n}`);
  const counters = users.map((userUuid) => createCounter(httpExecute({ ...gateway, userUuid })));
  await Promise.all(counters.map(({ begin }) => begin()));
  const containers = await Promise.all(users.map((user) => containerOf(gateway, user)));
  const startedAt = performance.now();
  const perLook = Math.ceil(executions / LOOKS / sessions);
  const steady: Look[] = [];
  say(headRow('executes'));
  let done = 0;
  while (done < executions) {
    await Promise.all(counters.map(({ count }) => count(perLook)));
    done += perLook * sessions;
    // Nothing is running at this point.
    const look = await takeLook({ gateway, inspector, containers, startedAt });
    say(lookRow(String(done), look));
    if (done >= executions * WARM_UP_SHARE) steady.push(look);
  }
  inspector.close();
  const rate = done / ((performance.now() - startedAt) / 1_000);
  say(`${done} executes, ${rate.toFixed(0)} a second with the looks`);
  const warmUp = Math.round(executions * WARM_UP_SHARE);
  return reportVerdicts(judge(steady), `after ${warmUp} executes`);
}

/** A session that counts its calls, so that a lost or repeated execution makes the bench fail. */
function createCounter(execute: RoundTrip) {
  let last = 0;
  return {
    begin: () => execute('n = 0; n', '0'),
    count: async (times: number): Promise<void> => {
      for (let time = 0; time < times; time += 1) {
        last += 1;
        await execute('n += 1; n', String(last));
      }
    },
  };
}
