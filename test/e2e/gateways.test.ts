/** With two gateways on one PostgreSQL, either answers every call, whichever holds the session's worker. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import {
  execute,
  follow,
  interrupt,
  poolStatus,
  printed,
  release,
  restartKernel,
  submit,
} from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { createInstallation, gatewayIdOf, type TestInstallation } from '../support/installation.ts';

let installation: TestInstallation;
let gateways: readonly [TestGateway, TestGateway];
beforeAll(async () => {
  installation = await createInstallation({ MAX_TOTAL_WORKERS: String(MAX_TOTAL_WORKERS) });
  gateways = [await installation.start(), await installation.start()];
});
afterAll(() => installation.destroy());

const MAX_TOTAL_WORKERS = 6;
const LONG = { timeoutMs: 60_000 };
const SLEEP = 'print("on")\nimport time\ntime.sleep(50)';

/** The gateway that holds the user's worker, and the other gateway. */
async function sidesOf(userUuid: string) {
  const holder = await installation.holderOfUser(userUuid);
  const [first, second] = gateways;
  return { holder, other: holder === first ? second : first };
}

describe('a session', () => {
  it('is the same at either gateway, and counts without a gap', async () => {
    await execute(gateways[0], 'ann', 'n = 0');
    const counts: (string | null)[] = [];
    for (let round = 0; round < 10; round += 1) {
      const gateway = gateways[round % 2] ?? gateways[0];
      counts.push((await execute(gateway, 'ann', 'n += 1\nn')).resultText);
    }
    expect(counts).toEqual(Array.from({ length: 10 }, (_, index) => String(index + 1)));
  });

  it('is opened only once by two simultaneous first calls', async () => {
    const answers = await Promise.all(
      gateways.flatMap((gateway) => [1, 2].map(() => execute(gateway, 'both', 'id(object())'))),
    );
    expect(answers.map(({ status }) => status)).toEqual(['OK', 'OK', 'OK', 'OK']);
    const [row] = await installation.sql`
      SELECT count(*)::int AS sessions FROM sessions WHERE user_uuid = 'both'`;
    expect(row).toEqual({ sessions: 1 });
    await release(gateways[1], 'both');
  });

  it('runs code once for an idempotency key, even if both gateways are called at the same time', async () => {
    const { other } = await sidesOf('ann');
    await execute(other, 'ann', 'runs = 0');
    const again = { idempotencyKey: 'once' };
    const answers = await Promise.all(
      gateways.flatMap((gateway) =>
        [1, 2, 3].map(() => execute(gateway, 'ann', 'runs += 1\nruns', again)),
      ),
    );
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    for (const { resultText } of answers) expect(resultText).toBe('1');
    expect((await execute(other, 'ann', 'runs')).resultText).toBe('1');
  });
});

describe('output', () => {
  it('is the same at both gateways while it is printed', async () => {
    const { other } = await sidesOf('ann');
    const code = 'import time\nfor i in range(20):\n    print(i)\n    time.sleep(0.05)';
    const { id } = await submit(other, 'ann', code);
    const live = await Promise.all(gateways.map((gateway) => follow(gateway.socket(), id)));
    const texts = live.map((outputs) => outputs.map(({ text }) => text ?? '').join(''));
    const lines = Array.from({ length: 20 }, (_, index) => `${index}\n`).join('');
    expect(texts).toEqual([lines, lines]);
    for (const outputs of live) {
      expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK' } });
    }
  });
});

describe('from the gateway that does not hold the worker', () => {
  it('interrupt stops running code; the variables stay', async () => {
    const { other } = await sidesOf('ann');
    await execute(other, 'ann', 'kept = 7');
    const { id } = await submit(other, 'ann', SLEEP, LONG);
    await printed(other.socket(), id, 1);
    const startedAt = performance.now();
    expect(await interrupt(other, id)).toBe('INTERRUPTED');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(await execute(other, 'ann', 'kept')).toMatchObject({
      resultText: '7',
      stateLost: false,
    });
  });

  it('interrupt cancels queued code at once', async () => {
    const { other } = await sidesOf('ann');
    const running = await submit(other, 'ann', SLEEP, LONG);
    const queued = await submit(other, 'ann', 'print("never")');
    await printed(other.socket(), running.id, 1);
    expect(await interrupt(other, queued.id)).toBe('CANCELLED');
    expect(await interrupt(other, running.id)).toBe('INTERRUPTED');
  });

  it('restartKernel gives a fresh kernel in the same session', async () => {
    const { holder, other } = await sidesOf('ann');
    await execute(other, 'ann', 'kept = 7\nopen("file", "w").write("x")');
    const session = await restartKernel(other, 'ann');
    expect(session).toMatchObject({ kernelRestarts: 1, closedAt: null });
    const answer = await execute(other, 'ann', 'print(open("file").read())\nkept');
    expect(answer).toMatchObject({
      status: 'ERROR',
      stdout: 'x\n',
      error: { name: 'NameError' },
      stateLost: true,
    });
    expect(await execute(holder, 'ann', '1')).toMatchObject({ stateLost: false });
  });

  it('restartKernel ends code that runs', async () => {
    const { other } = await sidesOf('ann');
    const { id } = await submit(other, 'ann', SLEEP, LONG);
    await printed(other.socket(), id, 1);
    expect(await restartKernel(other, 'ann')).toMatchObject({ kernelRestarts: 2 });
    const outputs = await follow(other.socket(), id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'INTERRUPTED', stateLost: true } });
    expect(await execute(other, 'ann', '1')).toMatchObject({ status: 'OK', stateLost: true });
    expect(await execute(other, 'ann', '2')).toMatchObject({ status: 'OK', stateLost: false });
  });

  it('release ends the session and its running code; the user’s next call opens another session', async () => {
    const { holder, other } = await sidesOf('ann');
    const { id } = await submit(other, 'ann', SLEEP, LONG);
    await printed(other.socket(), id, 1);
    const following = follow(holder.socket(), id);
    expect(await release(other, 'ann')).toBe(true);
    expect((await following).at(-1)).toMatchObject({ execution: { status: 'CANCELLED' } });
    expect(await release(holder, 'ann')).toBe(false);
    expect(await execute(holder, 'ann', '1')).toMatchObject({ status: 'OK', stateLost: false });
  });
});

describe('MAX_TOTAL_WORKERS', () => {
  it('MAX_TOTAL_WORKERS holds over both gateways; calls that wait at one are seen at the other, and served when a worker is free', async () => {
    const users = Array.from({ length: MAX_TOTAL_WORKERS + 2 }, (_, index) => `crowd-${index}`);
    await release(gateways[0], 'ann');
    const calls = users.map((user, index) =>
      execute(gateways[index % 2] ?? gateways[0], user, '1', { waitForWorkerMs: 60_000 }),
    );
    const full = await until('all workers busy and two calls waiting, at both', async () => {
      const [one, another] = await Promise.all(gateways.map(poolStatus));
      const isFull = one?.busyWorkers === MAX_TOTAL_WORKERS && one.waitingRequests === 2;
      return isFull && JSON.stringify(one) === JSON.stringify(another) ? one : null;
    });
    expect(full.totalWorkers).toBe(MAX_TOTAL_WORKERS);
    const served = new Set<string>();
    for (const [index, call] of calls.entries())
      void call.then(() => served.add(users[index] ?? ''));
    const open = await until('six sessions', async () => (served.size === 6 ? [...served] : null));
    for (const user of open.slice(0, 2)) await release(gateways[1], user);
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(users.map(() => 'OK'));
    const most = await installation.sql<{ most: number }[]>`
      WITH changes AS (
        SELECT position, CASE type WHEN 'WorkerRequested' THEN 1 ELSE -1 END AS change FROM events
        WHERE type IN ('WorkerRequested', 'WorkerRetired', 'WorkerLost'))
      SELECT max(total)::int AS most FROM (
        SELECT sum(change) OVER (ORDER BY position) AS total FROM changes) totals`;
    expect(most[0]).toEqual({ most: MAX_TOTAL_WORKERS });
    await Promise.all(users.map((user) => release(gateways[0], user)));
  });
});

describe('down', () => {
  it('ends nothing while another gateway runs', async () => {
    const [leaving, staying] = gateways;
    await execute(staying, 'stays', 'n = 1');
    const { code, output } = await runCli(['down'], leaving.env);
    expect(output).toContain(gatewayIdOf(staying));
    expect(code).toBe(1);
    await leaving.restart();
    expect((await execute(leaving, 'stays', 'n')).resultText).toBe('1');
  });
});

describe('poolStatus', () => {
  it('is the same at both gateways once the pool is at rest', async () => {
    await until('the pool at rest', async () => {
      const [one, another] = await Promise.all(gateways.map(poolStatus));
      const isAtRest = one?.startingWorkers === 0 && one.idleWorkers === 2;
      return isAtRest && JSON.stringify(one) === JSON.stringify(another);
    });
  });
});
