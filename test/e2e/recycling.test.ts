/** Unused sessions end by themselves, with their containers. A session with running code is never idle. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';

const IDLE_USERS = ['ann', 'bob', 'eve', 'joe', 'zoe'];

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({
    SESSION_IDLE_TIMEOUT_MS: '2000',
    MIN_IDLE_WORKERS: '1',
    MAX_TOTAL_WORKERS: '8',
  });
});
afterAll(() => gateway.destroy());

async function closeReason(user: string): Promise<string | null | undefined> {
  const { data } = await gateway.graphql<{ session: { closeReason: string | null } | null }>(
    'query Reason($user: String!) { session(userUuid: $user) { closeReason } }',
    { user },
  );
  return data?.session?.closeReason;
}

it('idle sessions end, sessions with running code do not, and the next call of a user has stateLost', async () => {
  await Promise.all(IDLE_USERS.map((user) => execute(gateway, user, 'n = 1')));
  await execute(gateway, 'busy', 'n = 1');
  const running = execute(gateway, 'busy', 'import time\ntime.sleep(6)\nn', { timeoutMs: 20_000 });
  await until('the idle ones have ended', async () => {
    const reasons = await Promise.all(IDLE_USERS.map(closeReason));
    return reasons.every((reason) => reason === 'IDLE');
  });
  expect(await running).toMatchObject({ status: 'OK', resultText: '1', stateLost: false });
  expect(await execute(gateway, 'busy', 'n')).toMatchObject({ resultText: '1', stateLost: false });
  expect(await execute(gateway, 'ann', '2')).toMatchObject({ resultText: '2', stateLost: true });
  await until('all have ended', async () => {
    const { busyWorkers, totalWorkers } = await poolStatus(gateway);
    return busyWorkers === 0 && totalWorkers === 1;
  });
});
