/** A session ends in time, even if the gateway that would end it has just died, and stays while it is used. */
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { askFiles } from '../support/fileClient.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const LIFE_MS = 3_000;
const LATE_LIMIT_MS = 1_000;
const LATE_LIMIT_WITHOUT_KEEPER_MS = 4_000;

let installation: TestInstallation;
let gateways: TestGateway[];
beforeAll(async () => {
  installation = await createInstallation({ MIN_IDLE_WORKERS: '1', MAX_TOTAL_WORKERS: '4' });
  gateways = [await installation.start(), await installation.start()];
});
afterAll(() => installation.destroy());

/** Opens a session, by default with a short life. */
async function open(
  gateway: TestGateway,
  userUuid: string,
  options: object = { maxLifeMs: LIFE_MS },
): Promise<void> {
  const { errors } = await gateway.graphql(
    `mutation Open($input: OpenSessionInput!) { openSession(input: $input) { id } }`,
    { input: { userUuid, ...options } },
  );
  expect(errors).toBeUndefined();
}

/** Waits for the session's end. @returns how late it came, in ms; plus 1, since `until` would wait on at 0 */
async function lateMs(userUuid: string): Promise<number> {
  return await until('the end of the session', async () => {
    const [row] = await installation.sql<{ late: number | null; closeReason: string }[]>`
      SELECT extract(epoch FROM closed_at - expires_at) * 1000 AS late, close_reason
      FROM sessions WHERE user_uuid = ${userUuid}`;
    if (row?.late == null) return false;
    expect(row.closeReason).toBe('expired');
    return Number(row.late) + 1;
  });
}

it('a session whose life is over ends within a second, and its container is removed', async () => {
  const [gateway] = gateways as [TestGateway];
  await open(gateway, 'ann');
  const running = execute(gateway, 'ann', 'import time; time.sleep(60)', { timeoutMs: 60_000 });
  expect(await lateMs('ann')).toBeLessThan(LATE_LIMIT_MS);
  expect((await running).status).toBe('CANCELLED');
  await until('the worker to be removed', async () => {
    const [row] = await installation.sql`
      SELECT 1 FROM workers w JOIN sessions s ON s.worker_id = w.id
      WHERE s.user_uuid = 'ann' AND w.state = 'REMOVED'`;
    return row;
  });
});

it('a session whose keeper is killed right before the end of its life ends within the limit', async () => {
  const keeper = await installation.holderOf('upkeep');
  const other = gateways.find((gateway) => gateway !== keeper) ?? keeper;
  await open(other, 'bob');
  await until('the last moment', async () => {
    const [row] = await installation.sql`
      SELECT 1 FROM sessions
      WHERE user_uuid = 'bob' AND expires_at < clock_timestamp() + interval '150 ms'`;
    return row;
  });
  await keeper.kill('SIGKILL');
  expect(await lateMs('bob')).toBeLessThan(LATE_LIMIT_WITHOUT_KEEPER_MS);
});

it('a session stays while an upload into it pauses for longer than its idle time', async () => {
  const gateway = await installation.start();
  const idleTime = { idleTimeoutMs: 1_000 };
  await open(gateway, 'cleo', idleTime);
  const body = new PassThrough();
  const answer = askFiles(gateway, { method: 'PUT', path: 'cleo/paused', body });
  body.write('one, ');
  await open(gateway, 'dave', idleTime);
  await until('a session that was opened later, and is not used, to end', async () => {
    const [row] = await installation.sql`
      SELECT 1 FROM sessions WHERE user_uuid = 'dave' AND close_reason = 'idle'`;
    return row;
  });
  body.end('two');
  expect(JSON.parse((await answer).body.toString())).toMatchObject({ path: 'paused', size: 8 });
  const sessions = await installation.sql`SELECT 1 FROM sessions WHERE user_uuid = 'cleo'`;
  expect(sessions).toHaveLength(1);
});
