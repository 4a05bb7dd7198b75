/** A gateway that is killed with SIGKILL while it serves and started again: from the start of its process, what comes when. */
import type { TestGateway } from '../../test/support/gateway.ts';
import { interrupt, submit } from '../../test/support/interpreter.ts';
import { restartHard } from '../support/gatewayWithPast.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { leave } from '../support/newUsers.ts';

/** One line each: often enough to see when a stream goes on, for longer than the restart takes. */
const TICKER = 'import time\nfor n in range(400): print(n, flush=True); time.sleep(0.05)';
const TICKER_LIMIT_MS = 60_000;

export interface Recovered {
  /** `/readyz` says 200: every worker is adopted. */
  readonly readyMs: number;
  readonly answerMs: number;
  /** Null without a stream. */
  readonly streamMs: number | null;
}

/** With nobody there: the first answer is a new user's, on the idle worker that was adopted. */
export async function restartEmpty(gateway: TestGateway, newUser: string): Promise<Recovered> {
  const { startedAt, readyMs } = await restartHard(gateway);
  await httpExecute({ ...gateway, userUuid: newUser })('1+1', '2');
  const answerMs = performance.now() - startedAt;
  await leave(gateway, [newUser], { busyWorkers: 0, idleWorkers: 1 });
  return { readyMs, answerMs, streamMs: null };
}

/** One user streams meanwhile, another calls as soon as it is ready. */
export async function restartBesideStream(
  gateway: TestGateway,
  streaming: string,
  calling: string,
): Promise<Recovered> {
  const { id } = await submit(gateway, streaming, TICKER, { timeoutMs: TICKER_LIMIT_MS });
  const before = await nextOutput(gateway, id, 0);
  const { startedAt, readyMs } = await restartHard(gateway);
  await httpExecute({ ...gateway, userUuid: calling })('1+1', '2');
  const answerMs = performance.now() - startedAt;
  await nextOutput(gateway, id, before);
  const streamMs = performance.now() - startedAt;
  await interrupt(gateway, id);
  return { readyMs, answerMs, streamMs };
}

/** The seq of the first output after `after`, once there is one. */
async function nextOutput(gateway: TestGateway, id: string, after: number): Promise<number> {
  const query = `subscription ($id: ID!, $after: Int) { output(executionId: $id, after: $after) { seq } }`;
  const client = gateway.socket();
  const stream = client.iterate<{ output: { seq: number } }>({ query, variables: { id, after } });
  for await (const { data } of stream) return data?.output.seq ?? 0;
  throw new Error('The stream ended.');
}
