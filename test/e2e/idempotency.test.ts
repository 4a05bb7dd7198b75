/**
 * An idempotency key runs its code once, for any number of calls at any gateway, even if gateways are killed
 * meanwhile.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import {
  type ExecutionResult,
  execute,
  executeBatch,
  printed,
  release,
  submit,
} from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const CALLS = 50;
const LONG = { timeoutMs: 60_000 };
/** Code that counts in the kernel, and runs long enough for all calls to arrive meanwhile. */
const COUNT = 'import time\nruns = globals().get("runs", 0) + 1\ntime.sleep(0.5)\nruns';

let installation: TestInstallation;
let gateways: readonly [TestGateway, TestGateway];
beforeAll(async () => {
  installation = await createInstallation({ MAX_QUEUED_EXECUTIONS: '4' });
  gateways = [await installation.start(), await installation.start()];
});
afterAll(() => installation.destroy());

let user: string;
beforeEach(({ task }) => {
  user = task.name;
});

/** Sends all calls at once, alternately to both gateways. */
function callAll(code: string, idempotencyKey: string): Promise<ExecutionResult[]> {
  const calls = Array.from({ length: CALLS }, (_, index) => {
    const call = index % 4 < 2 ? execute : submit;
    return call(gateways[index % 2] ?? gateways[0], user, code, { ...LONG, idempotencyKey });
  });
  return Promise.all(calls);
}

async function expectRanOnce(answers: readonly ExecutionResult[]): Promise<void> {
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
  const waited = answers.filter(({ status }) => status === 'OK');
  expect(waited.length).toBeGreaterThanOrEqual(CALLS / 2);
  for (const { resultText } of waited) expect(resultText).toBe('1');
  for (const gateway of gateways)
    expect((await execute(gateway, user, 'runs')).resultText).toBe('1');
  const rows = await installation.sql`
    SELECT 1 FROM executions WHERE user_uuid = ${user} AND idempotency_key IS NOT NULL`;
  expect(rows).toHaveLength(1);
}

describe(`${CALLS} calls with one key, over two gateways`, () => {
  it('run once for a user with a session', async () => {
    await execute(gateways[0], user, 'runs = 0');
    await expectRanOnce(await callAll(COUNT, 'k'));
  });

  it('run once for a new user, whose session the first of them opens', async () => {
    await expectRanOnce(await callAll(COUNT, 'k'));
    const sessions = await installation.sql`SELECT 1 FROM sessions WHERE user_uuid = ${user}`;
    expect(sessions).toHaveLength(1);
  });
});

describe('a batch whose cells have keys', () => {
  it('continues where it was when it is sent again after kill -9 in the middle of a cell', async () => {
    const cells = [
      { idempotencyKey: 'a', code: 'runs = ["a"]' },
      { idempotencyKey: 'b', code: 'print("on")\nimport time\ntime.sleep(2)\nruns.append("b")' },
      { idempotencyKey: 'c', code: 'runs.append("c")\nruns' },
    ];
    const [gateway, other] = gateways;
    const broken = executeBatch(gateway, user, cells).catch(() => null);
    const second = await until('the second cell', async () => {
      const [row] = await installation.sql<{ id: string }[]>`
        SELECT id FROM executions
        WHERE user_uuid = ${user} AND idempotency_key = 'b' AND status = 'RUNNING'`;
      return row;
    });
    await gateway.kill('SIGKILL');
    expect(await broken).toBeNull();
    const done = await executeBatch(other, user, cells);
    await gateway.restart();
    expect(done.map(({ status }) => status)).toEqual(['OK', 'OK', 'OK']);
    expect(done[1]?.id).toBe(second.id);
    expect(done[2]?.resultText).toBe("['a', 'b', 'c']");
    expect(await executeBatch(gateway, user, cells)).toEqual(done);
  });
});

describe('a key', () => {
  it('answers after kill -9 of the gateway that ran its code, while the code runs and when it has ended', async () => {
    const key = { ...LONG, idempotencyKey: 'k' };
    const code =
      'print("on")\nimport time\ntime.sleep(3)\nruns = globals().get("runs", 0) + 1\nruns';
    const { id } = await submit(gateways[0], user, code, key);
    await printed(gateways[0].socket(), id, 1);
    const holder = await installation.holderOfUser(user);
    const other = holder === gateways[0] ? gateways[1] : gateways[0];
    await holder.kill('SIGKILL');
    const waiting = execute(other, user, code, key);
    await holder.restart();
    const answers = [await waiting, await execute(holder, user, code, key)];
    for (const gateway of gateways) {
      await gateway.kill('SIGKILL');
      await gateway.restart();
      answers.push(await execute(gateway, user, code, key));
    }
    for (const answer of answers)
      expect(answer).toMatchObject({ id, status: 'OK', resultText: 'on\n1', stateLost: false });
  });

  it('refuses other code at both gateways, and has no effect for other users', async () => {
    const first = await execute(gateways[0], user, '1', { idempotencyKey: 'k' });
    for (const gateway of gateways)
      await expect(execute(gateway, user, '2', { idempotencyKey: 'k' })).rejects.toThrow(
        'IDEMPOTENCY_CONFLICT',
      );
    const others = await execute(gateways[1], `${user}, another`, '2', { idempotencyKey: 'k' });
    expect(others).toMatchObject({ status: 'OK', resultText: '2' });
    expect(others.id).not.toBe(first.id);
  });

  it('outlives its session, and its answer opens no new session', async () => {
    const { id } = await execute(gateways[0], user, '"kept"', { idempotencyKey: 'k' });
    await release(gateways[1], user);
    const again = await execute(gateways[1], user, '"kept"', { idempotencyKey: 'k' });
    expect(again).toMatchObject({ id, resultText: "'kept'" });
    const open = await installation.sql`
      SELECT 1 FROM sessions WHERE user_uuid = ${user} AND closed_at IS NULL`;
    expect(open).toHaveLength(0);
  });

  it('needs no room in a full queue if it was accepted before', async () => {
    const sleep = 'import time\ntime.sleep(50)';
    const held = await submit(gateways[0], user, sleep, { ...LONG, idempotencyKey: 'held' });
    for (const key of ['1', '2', '3', '4'])
      await submit(gateways[0], user, key, { idempotencyKey: key });
    for (const gateway of gateways) {
      await expect(submit(gateway, user, '5', { idempotencyKey: '5' })).rejects.toThrow(
        'QUEUE_FULL',
      );
      const again = await submit(gateway, user, sleep, { ...LONG, idempotencyKey: 'held' });
      expect(again.id).toBe(held.id);
    }
    await release(gateways[0], user);
    const ended = await execute(gateways[1], user, '4', { idempotencyKey: '4' });
    expect(ended.status).toBe('CANCELLED');
  });
});
