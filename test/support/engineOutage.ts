/** Checks for tests of outages: what is reported, how sessions ended, and how calls were answered meanwhile. */
import { expect } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { type Call, NEWCOMER_WAIT_MS } from './outageLoad.ts';

/** A call in a session never goes through the engine, so this only allows for a busy machine. */
const LIVE_CALL_LIMIT_MS = 4_000;
/** Added to the limit that a new user names, also for a busy machine. */
const ANSWER_ALLOWANCE_MS = 3_000;

export interface Outage {
  readonly from: number;
  readonly to: number;
}

/** The reason in `poolStatus`; null: none. */
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

/** The refusal that a user without a session gets after waiting a second for a worker; null: the user was served. */
export async function refusal(gateway: TestGateway, userUuid: string): Promise<unknown> {
  const { errors } = await gateway.graphql(
    'mutation Come($input: ExecuteInput!) { execute(input: $input) { id } }',
    { input: { userUuid, code: '1', waitForWorkerMs: 1_000 } },
  );
  return errors?.[0]?.extensions?.code ?? null;
}

/** How the user's last session and its worker ended. */
export async function endOf(gateway: TestGateway, user: string): Promise<(string | undefined)[]> {
  const { data } = await gateway.graphql<{
    session: { closeReason: string; worker: { endReason: string } };
  }>(
    'query End($user: String!) { session(userUuid: $user) { closeReason worker { endReason } } }',
    { user },
  );
  return [data?.session.closeReason, data?.session.worker.endReason];
}

/** Every call was served promptly by the same kernel and ran once. */
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
