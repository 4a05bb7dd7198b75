/**
 * One of three gateways dies, or sleeps and wakes. The others take over its work, and nothing is lost or done twice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import {
  containerOf,
  execute,
  follow,
  interrupt,
  type Output,
  poolStatus,
  printed,
  release,
  restartKernel,
  submit,
} from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { createInstallation, gatewayIdOf, type TestInstallation } from '../support/installation.ts';
import { stopForNow } from '../support/stopForNow.ts';

/** The promised limit: within this time another gateway takes over the work of a dead one. */
const TAKE_OVER_LIMIT_MS = 3_000;
/** Long enough for the others to take over everything. The chaos run lets a gateway sleep for a minute. */
const ASLEEP_MS = Number(process.env.CELLHOUSE_ASLEEP_MS ?? 6_000);
/** The limit for a call without obstacles, on a machine that is busy with other tests. */
const PROMPT_MS = 2_000;
const LONG = { timeoutMs: 120_000 };

const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);

let installation: TestInstallation;
let gateways: TestGateway[];
beforeAll(async () => {
  installation = await createInstallation();
  gateways = [];
  for (let count = 0; count < 3; count += 1) gateways.push(await installation.start());
});
afterAll(() => installation.destroy());

/** Each test begins with three live gateways and its own user with a counter. */
let user: string;
let startedAt: Date;
let holder: TestGateway;
let others: readonly [TestGateway, TestGateway];
beforeEach(async ({ task }) => {
  user = task.name;
  startedAt = new Date();
  await execute(gateways[0] ?? holder, user, 'n = 0');
  holder = await installation.holderOfUser(user);
  others = gateways.filter((gateway) => gateway !== holder) as [TestGateway, TestGateway];
});

const printLines = (lines: number) =>
  `import time\nfor i in range(${lines}):\n    print('line', i)\n    time.sleep(0.1)`;
const textOf = (outputs: readonly Output[]) => outputs.map(({ text }) => text ?? '').join('');
const linesText = (lines: number) =>
  Array.from({ length: lines }, (_, index) => `line ${index}\n`).join('');

/** The longest time between two outputs. */
function longestGapMs(outputs: readonly Output[]): number {
  const gaps = outputs.map(
    ({ receivedAt }, index) => receivedAt - (outputs[index - 1]?.receivedAt ?? receivedAt),
  );
  return Math.max(...gaps);
}

function expectWhole(outputs: readonly Output[], lines: number): void {
  expect(textOf(outputs)).toBe(linesText(lines));
  expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
  expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
}

describe('kill -9 of the gateway that holds a running session', () => {
  it('another gateway continues the stream without a hole, and runs the execution queued behind it', async () => {
    const [one, two] = others;
    const { id } = await submit(one, user, printLines(80), LONG);
    const streams = Promise.all(others.map((gateway) => follow(gateway.socket(), id)));
    const waiting = execute(two, user, 'n += 1\nn', LONG);
    await printed(one.socket(), id, 10);
    await holder.kill('SIGKILL');
    for (const outputs of await streams) {
      expectWhole(outputs, 80);
      expect(longestGapMs(outputs)).toBeLessThan(TAKE_OVER_LIMIT_MS);
    }
    expect(await waiting).toMatchObject({ status: 'OK', resultText: '1', stateLost: false });
    await holder.restart();
  });

  it('an interrupt requested right then is carried out', async () => {
    const [one] = others;
    const { id } = await submit(one, user, 'print("on")\nimport time\ntime.sleep(100)', LONG);
    await printed(one.socket(), id, 1);
    await holder.kill('SIGKILL');
    expect(await interrupt(one, id)).toBe('INTERRUPTED');
    expect(await execute(one, user, 'n')).toMatchObject({ resultText: '0', stateLost: false });
    await holder.restart();
  });

  it('a fresh kernel requested right then is started exactly once', async () => {
    const [one, two] = others;
    await holder.kill('SIGKILL');
    expect(await restartKernel(one, user)).toMatchObject({ kernelRestarts: 1, closedAt: null });
    expect(await execute(two, user, 'n')).toMatchObject({ error: { name: 'NameError' } });
    await holder.restart();
  });

  it('the killed gateway serves like the others if it has restarted meanwhile, on its data directory', async () => {
    const [one] = others;
    const { id } = await submit(one, user, printLines(30), LONG);
    const stream = follow(one.socket(), id);
    await printed(one.socket(), id, 5);
    await holder.kill('SIGKILL');
    await holder.restart();
    expectWhole(await stream, 30);
    for (const [index, gateway] of gateways.entries())
      expect((await execute(gateway, user, 'n += 1\nn')).resultText).toBe(String(index + 1));
  });
});

describe('a gateway that is stopped and goes on later', () => {
  it('a paused gateway is replaced, blocks nobody, writes nothing when it resumes, and then serves again', async () => {
    const [one, two] = others;
    const { id } = await submit(one, user, printLines(60), LONG);
    const streams = Promise.all(others.map((gateway) => follow(gateway.socket(), id)));
    const queued = [1, 2, 3].map(() => execute(two, user, 'n += 1\nn', LONG));
    await printed(one.socket(), id, 5);

    stopForNow(holder);
    const [before] = await installation.sql<{ position: number }[]>`
      SELECT max(position) AS position FROM events`;
    const slowest = await callUntil(one, performance.now() + ASLEEP_MS);
    expect(slowest).toBeLessThan(PROMPT_MS);
    expect(
      await installation.sql`
        SELECT application_name, state FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' OR wait_event_type = 'Lock'`,
    ).toEqual([]);
    process.kill(holder.pid, 'SIGCONT');

    for (const outputs of await streams) {
      expectWhole(outputs, 60);
      expect(longestGapMs(outputs)).toBeLessThan(TAKE_OVER_LIMIT_MS);
    }
    const counts = (await Promise.all(queued)).map(({ resultText }) => resultText);
    expect(counts.toSorted()).toEqual(['1', '2', '3']);
    await until('the woken gateway to answer', async () => await poolStatus(holder));
    expect(
      await installation.sql`
        SELECT type FROM events
        WHERE position > ${before?.position ?? 0} AND metadata ->> 'gatewayId' = ${gatewayIdOf(holder)}`,
    ).toEqual([]);
    expect((await execute(holder, user, 'n += 1\nn')).resultText).toBe('4');
    expect(await execute(holder, `${user} later`, '1')).toMatchObject({ status: 'OK' });

    // The woken gateway takes over from others, too.
    const successor = await installation.holderOfUser(user);
    await successor.kill('SIGKILL');
    expect((await execute(holder, user, 'n += 1\nn', LONG)).resultText).toBe('5');
    await successor.restart();
  });

  /**
   * Calls in one session, one call after the other. Resolves with the time of the slowest call. The first call does not
   * count, because it opens the session.
   */
  async function callUntil(gateway: TestGateway, end: number): Promise<number> {
    await delay(TAKE_OVER_LIMIT_MS);
    let slowest = 0;
    for (let count = 0; performance.now() < end; count += 1) {
      const startedAt = performance.now();
      const answer = await execute(gateway, `${user} beside`, 'm = globals().get("m", 0) + 1\nm');
      if (count > 0) slowest = Math.max(slowest, performance.now() - startedAt);
      expect(answer.resultText).toBe(String(count + 1));
    }
    return slowest;
  }
});

describe('work that a gateway leaves half done', () => {
  it('a release while the holder is stopped ends the code, and leaves no container', async () => {
    const [one, two] = others;
    const { id } = await submit(one, user, 'print("on")\nimport time\ntime.sleep(100)', LONG);
    await printed(one.socket(), id, 1);
    const container = docker.getContainer(await containerOf(one, user));
    const following = follow(two.socket(), id);
    stopForNow(holder);
    expect(await release(one, user)).toBe(true);
    expect((await following).at(-1)).toMatchObject({ execution: { status: 'CANCELLED' } });
    await expect(container.inspect()).rejects.toMatchObject({ statusCode: 404 });
    process.kill(holder.pid, 'SIGCONT');
    expect(await execute(holder, user, 'globals().get("n")')).toMatchObject({
      status: 'OK',
      resultText: null,
      stateLost: false,
    });
  });

  it('workers that a dead gateway was making are taken over within the limit, or have ended', async () => {
    const maker = others[0];
    const crowd = Array.from({ length: 6 }, (_, index) =>
      execute(maker, `${user} ${index}`, '1', { waitForWorkerMs: 60_000 }).catch(() => 'cut off'),
    );
    await until('workers in the making', async () => (await inTheMaking(maker)) > 0);
    await maker.kill('SIGKILL');
    await Promise.all(crowd);
    await until(
      'them to be taken over or ended',
      async () => (await inTheMaking(maker)) === 0,
      2 * TAKE_OVER_LIMIT_MS,
    );
    await maker.restart();
  });

  /** The number of unfinished workers that this gateway requested and no other gateway has taken over. */
  async function inTheMaking(maker: TestGateway): Promise<number> {
    const id = gatewayIdOf(maker);
    const workers = await installation.sql`
      SELECT w.id FROM workers w
      JOIN events e ON e.stream_id = 'worker-' || w.id AND e.version = 1 AND e.metadata ->> 'gatewayId' = ${id}
      LEFT JOIN leases l ON l.name = 'worker-' || w.id AND l.expires_at > clock_timestamp()
      WHERE w.state IN ('REQUESTED', 'STARTING') AND coalesce(l.holder, ${id}) = ${id}`;
    return workers.length;
  }
});

describe('the upkeep of the pool', () => {
  it('one gateway does the upkeep, and another does it within the limit after the first is killed', async () => {
    const keeper = await installation.holderOf('upkeep');
    await keeper.kill('SIGKILL');
    const killedAt = performance.now();
    const next = await until('another keeper', async () => {
      const holding = await installation.holderOf('upkeep');
      return holding !== keeper && holding;
    });
    expect(performance.now() - killedAt).toBeLessThan(TAKE_OVER_LIMIT_MS);
    // The new keeper also keeps the pool full: it replaces workers that are taken.
    for (const name of ['x', 'y']) await execute(next, `${user} ${name}`, '1');
    await until('the pool to be full again', async () => (await poolStatus(next)).idleWorkers >= 2);
    await keeper.restart();
  });

  it('leaves alone the workers that another gateway is making, even if the keeper restarts', async () => {
    const keeper = await installation.holderOf('upkeep');
    const maker = gateways.find((gateway) => gateway !== keeper) ?? keeper;
    const crowd = Array.from({ length: 6 }, (_, index) =>
      execute(maker, `${user} ${index}`, '1', { waitForWorkerMs: 60_000 }),
    );
    await until('workers in the making', async () => {
      const made = await installation.sql`
        SELECT w.id FROM workers w JOIN leases l ON l.name = 'worker-' || w.id
        WHERE w.state IN ('REQUESTED', 'STARTING') AND l.holder = ${gatewayIdOf(maker)}`;
      return made.length > 0;
    });
    await keeper.kill('SIGKILL');
    await keeper.restart();
    expect((await Promise.all(crowd)).map(({ status }) => status)).toEqual(crowd.map(() => 'OK'));
    expect(
      await installation.sql`
        SELECT lost.data FROM events made JOIN events lost USING (stream_id)
        WHERE made.type = 'WorkerRequested' AND made.metadata ->> 'gatewayId' = ${gatewayIdOf(maker)}
          AND lost.type = 'WorkerLost' AND lost.recorded_at > ${startedAt}`,
    ).toEqual([]);
  });
});
