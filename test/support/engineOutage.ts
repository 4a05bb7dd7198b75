/** What the tests of outages look at: what is told, how sessions ended, and how calls were answered meanwhile. */
import { expect } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { type Call, NEWCOMER_WAIT_MS } from './outageLoad.ts';

/** Nothing of a call in a session goes through the engine; a machine that is busy with other things may take this long. */
const LIVE_CALL_LIMIT_MS = 4_000;
/** Beyond the limit that a newcomer names, for the same reason. */
const ANSWER_ALLOWANCE_MS = 3_000;

export interface Outage {
  readonly from: number;
  readonly to: number;
}

/** The reason that `poolStatus` tells; null: none. */
export async function degradation(gateway: TestGateway): Promise<string | null> {
  const { data } = await gateway.graphql<{
    poolStatus: { degradation: { reason: string } | null };
  }>('{ poolStatus { degradation { reason } } }');
  return data?.poolStatus.degradation?.reason ?? null;
}

/** `/readyz` counts the gateway as ready, and says why it can make no worker. */
export async function expectDegraded(gateway: TestGateway, words: string): Promise<void> {
  const ready = await fetch(`${gateway.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: 'degraded', reasons: [expect.stringContaining(words)] },
  ]);
}

/** What a user without a session is refused with who waits for a worker for a second; null: they were served. */
export async function refusal(gateway: TestGateway, userUuid: string): Promise<unknown> {
  const { errors } = await gateway.graphql(
    'mutation Come($input: ExecuteInput!) { execute(input: $input) { id } }',
    { input: { userUuid, code: '1', waitForWorkerMs: 1_000 } },
  );
  return errors?.[0]?.extensions?.code ?? null;
}

/** How the user's last session ended, and its worker. */
export async function endOf(gateway: TestGateway, user: string): Promise<(string | undefined)[]> {
  const { data } = await gateway.graphql<{
    session: { closeReason: string; worker: { endReason: string } };
  }>(
    'query End($user: String!) { session(userUuid: $user) { closeReason worker { endReason } } }',
    { user },
  );
  return [data?.session.closeReason, data?.session.worker.endReason];
}

/** Every call was served, at once, by the same kernel, and ran once. */
export function expectWhole(calls: readonly Call[]): void {
  expect(calls.map(({ resultText }) => resultText)).toEqual(
    calls.map((_, index) => String(index + 1)),
  );
  expect(calls.filter(({ stateLost }) => stateLost)).toEqual([]);
  expect(Math.max(...calls.map(({ tookMs }) => tookMs))).toBeLessThan(LIVE_CALL_LIMIT_MS);
}

export function expectServedOrTold(newcomers: readonly Call[], { from, to }: Outage): void {
  for (const { tookMs, code } of newcomers) {
    expect(tookMs).toBeLessThan(NEWCOMER_WAIT_MS + ANSWER_ALLOWANCE_MS);
    expect([null, 'WORKER_START_FAILED', 'POOL_EXHAUSTED']).toContain(code);
  }
  const meanwhile = newcomers.filter(
    ({ startedAt, tookMs }) => startedAt > from && startedAt + tookMs < to,
  );
  const told = meanwhile.flatMap(({ code }) => code ?? []);
  expect(told.length).toBeGreaterThan(0);
  expect(new Set(told)).toEqual(new Set(['WORKER_START_FAILED']));
}
