/**
 * Measures how long users wait after a gateway was killed, for several numbers of open sessions and lengths of history:
 * from the start of the new process until it is ready, until the first answer, and until the next output of a running
 * stream.
 *
 * `npm run bench -- recovery [--events N,N...] [--sessions N,N...] [--restarts N] [--rebuild]`
 */
import { parseArgs } from 'node:util';
import type { TestGateway } from '../../testkit/gateway.ts';
import type { Bench, BenchRun, Figure } from '../suite/bench.ts';
import { startGatewayWithPast } from '../support/gatewayWithPast.ts';
import { usualHistoryOf } from '../support/historySize.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { WAIT_MS } from '../support/newUsers.ts';
import { type Recovered, restartBesideStream, restartEmpty } from './killAndRestart.ts';
import { p50AndMax } from './p50AndMax.ts';
import { rebuildBesideUsers } from './rebuildBesideUsers.ts';

const AT_MOST_MS = 1_000;

interface Extent {
  readonly sessions: readonly number[];
  readonly restarts: number;
  readonly isRebuilding: boolean;
}

export const recoveryBench: Bench = {
  name: 'recovery',
  about: 'from kill -9 to ready, the first answer and the resumed stream (--events, --sessions)',
  isInBareRun: true,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        events: { type: 'string', default: isShort ? '1000' : '1000,100000' },
        sessions: { type: 'string', default: isShort ? '0,3' : '0,10' },
        restarts: { type: 'string', default: isShort ? '3' : '10' },
        rebuild: { type: 'boolean', default: false },
      },
    });
    const extent: Extent = {
      sessions: values.sessions.split(',').map(Number),
      restarts: Number(values.restarts),
      isRebuilding: values.rebuild,
    };
    if (extent.sessions.includes(1))
      throw new Error('--sessions: none, or two or more: one streams, and another calls.');
    const figures: Figure[] = [];
    for (const events of values.events.split(',').map(Number))
      figures.push(...(await measure(events, extent, say)));
    return { comparisons: [], figures };
  },
};

/** Measures one gateway with a growing number of sessions. */
async function measure(
  events: number,
  { sessions, restarts, isRebuilding }: Extent,
  say: BenchRun['say'],
): Promise<Figure[]> {
  say(`a past of ${events} events`);
  const gateway = await startGatewayWithPast(usualHistoryOf(events), {
    LOG_LEVEL: 'warn',
    MAX_TOTAL_WORKERS: String(Math.max(...sessions) + 1),
    MIN_IDLE_WORKERS: '1',
    WORKER_WAIT_TIMEOUT_MS: String(WAIT_MS),
  });
  try {
    const figures: Figure[] = [];
    for (const count of [...sessions].sort((one, other) => one - other)) {
      const users = Array.from({ length: count }, (_, n) => `live-${n}`);
      say(`${count} sessions`);
      figures.push(
        ...figuresOf(`${events} events, ${count} sessions`, await kill(gateway, users, restarts)),
      );
    }
    if (isRebuilding) figures.push(...(await rebuildBesideUsers(gateway, 'live-0', events, say)));
    return figures;
  } finally {
    await gateway.destroy();
  }
}

async function kill(
  gateway: TestGateway,
  users: readonly string[],
  restarts: number,
): Promise<Recovered[]> {
  const executes = users.map((userUuid) => httpExecute({ ...gateway, userUuid }));
  await Promise.all(executes.map((execute, n) => execute(`kept = ${n}; kept`, String(n))));
  const recovered: Recovered[] = [];
  for (let turn = 0; turn < restarts; turn += 1) {
    const streaming = users[turn % users.length];
    const calling = users[(turn + 1) % users.length];
    recovered.push(
      streaming === undefined || calling === undefined
        ? await restartEmpty(gateway, `new-${turn}`)
        : await restartBesideStream(gateway, streaming, calling),
    );
  }
  // Every session must still have its variables after all the kills. New connections, as the old gateways are gone.
  const after = users.map((userUuid) => httpExecute({ ...gateway, userUuid }));
  await Promise.all(after.map((execute, n) => execute('kept', String(n))));
  return recovered;
}

function figuresOf(name: string, recovered: readonly Recovered[]): Figure[] {
  const target = { atMost: AT_MOST_MS };
  const stream = recovered.flatMap(({ streamMs }) => streamMs ?? []);
  return [
    ...p50AndMax(
      `${name}: to ready`,
      recovered.map(({ readyMs }) => readyMs),
      target,
    ),
    ...p50AndMax(
      `${name}: to the first answer`,
      recovered.map(({ answerMs }) => answerMs),
      target,
    ),
    ...(stream.length > 0 ? p50AndMax(`${name}: to the resumed stream`, stream, target) : []),
  ];
}
