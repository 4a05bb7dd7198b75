/** Kills a serving gateway with SIGKILL, starts it again, and measures from the start of its process. */
import type { TestGateway } from '../../testkit/gateway.ts';
import { interrupt, submit } from '../../testkit/interpreter.ts';
import { restartHard } from '../support/gatewayWithPast.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { leave } from '../support/newUsers.ts';

/** Prints often enough to show when a stream goes on, and for longer than the restart takes. */
const TICKER = 'import time\nfor n in range(400): print(n, flush=True); time.sleep(0.05)';
const TICKER_LIMIT_MS = 60_000;

export interface Recovered {
  /** Until `/readyz` answers 200, which means that every worker is adopted. */
  readonly readyMs: number;
  readonly answerMs: number;
  /** Null without a stream. */
  readonly streamMs: number | null;
}

/** Without sessions. The first answer is that of a new user, on the adopted idle worker. */
export async function restartEmpty(gateway: TestGateway, newUser: string): Promise<Recovered> {
  const { startedAt, readyMs } = await restartHard(gateway);
  await httpExecute({ ...gateway, userUuid: newUser })('1+1', '2');
  const answerMs = performance.now() - startedAt;
  await leave(gateway, [newUser], { busyWorkers: 0, idleWorkers: 1 });
  return { readyMs, answerMs, streamMs: null };
}

/** With a stream of one user. Another user calls as soon as the gateway is ready. */
export async function restartBesideStream(
  gateway: TestGateway,
  streaming: string,
  calling: string,
): Promise<Recovered> {
  const { id } = await submit(gateway, streaming, TICKER, { timeoutMs: TICKER_LIMIT_MS });
  await untilPrintedAfter(gateway, id, 0);
  const killedAt = Date.now();
  const { startedAt, readyMs } = await restartHard(gateway);
  const since = async (work: Promise<unknown>) => {
    await work;
    return performance.now() - startedAt;
  };
  const [answerMs, streamMs] = await Promise.all([
    since(httpExecute({ ...gateway, userUuid: calling })('1+1', '2')),
    since(untilPrintedAfter(gateway, id, killedAt)),
  ]);
  await interrupt(gateway, id);
  return { readyMs, answerMs, streamMs };
}

/** Resolves when a subscriber has received output that was printed after `at`, in milliseconds since 1970. */
async function untilPrintedAfter(gateway: TestGateway, id: string, at: number): Promise<void> {
  const query = `subscription ($id: ID!) { output(executionId: $id) { at } }`;
  const stream = gateway.socket().iterate<{ output: { at: string } }>({ query, variables: { id } });
  for await (const { data } of stream) if (Date.parse(data?.output.at ?? '') > at) return;
  throw new Error('The stream ended.');
}
