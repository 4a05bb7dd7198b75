/** Sandboxes at two gateways of one installation, either of which may be killed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../../testkit/gateway.ts';
import { poolStatus } from '../../../testkit/interpreter.ts';
import { until } from '../../../testkit/until.ts';
import {
  atGateway,
  E2B_SDKS,
  e2bKey,
  endOf,
  type InstalledSdk,
  runningCode,
  setVariables,
} from '../../support/e2b/sdks.ts';
import { createInstallation, type TestInstallation } from '../../support/installation.ts';

const SANDBOXES = 20;
/** Twenty workers start on a machine that may have two CPUs. */
const PATIENT = { requestTimeoutMs: 100_000 };
const LOST_WITHIN_MS = 1_000;

let installation: TestInstallation;
let one: TestGateway;
let other: TestGateway;
beforeAll(async () => {
  installation = await createInstallation({
    MIN_IDLE_WORKERS: '2',
    WORKER_WAIT_TIMEOUT_MS: '100000',
  });
  [one, other] = [await installation.start(), await installation.start()];
  setVariables(one, await e2bKey(one, 'two-gateways'));
});
afterAll(() => installation.destroy());

describe.each(E2B_SDKS)('$name', ({ sdk }) => {
  it('clients of a killed gateway lose their connections, and the sandbox goes on at another gateway', async () => {
    const sandbox = await sdk.Sandbox.create();
    await sandbox.runCode('kept = 40');
    await sandbox.files.write('kept.txt', 'kept');
    const server = await sandbox.commands.run(
      'while [ ! -e /tmp/end ]; do sleep 0.1; done; echo down',
      { background: true, timeoutMs: 0 },
    );
    const code = 'print("on", flush=True)\nimport time\ntime.sleep(4)\nkept += 2';
    const { ended } = await runningCode(sandbox, code);
    const commandLost = expect(server.wait()).rejects.toThrow();
    await one.kill('SIGKILL');
    try {
      const { error } = await ended;
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toBeInstanceOf(sdk.TimeoutError);
      await commandLost;
      const again = await sdk.Sandbox.connect(sandbox.sandboxId, atGateway(other));
      expect(await again.files.read('kept.txt')).toBe('kept');
      const running = await again.commands.list();
      expect(running.map(({ pid }) => pid)).toContain(server.pid);
      const reconnected = await again.commands.connect(server.pid);
      await again.files.write('/tmp/end', '');
      expect(await reconnected.wait()).toMatchObject({ stdout: 'down\n', exitCode: 0 });
      // The code went on, too: the next code waits for its end.
      expect((await again.runCode('kept')).text).toBe('42');
      expect(await again.kill()).toBe(true);
    } finally {
      await one.restart();
    }
  });

  it.each([
    { by: 'kill', late: LOST_WITHIN_MS },
    // A gateway looks once a second for sessions whose time is over.
    { by: 'its time', late: 2 * LOST_WITHIN_MS },
  ])('an end by $by at one gateway ends the streams of the other', async ({ by, late }) => {
    const sandbox = await sdk.Sandbox.create();
    const there = await sdk.Sandbox.connect(sandbox.sandboxId, atGateway(other));
    const options = { background: true, timeoutMs: 0 } as const;
    const command = await there.commands.run('sleep 300', options);
    const { ended } = await runningCode(there);
    const lifeMs = by === 'kill' ? 0 : 2_000;
    const from = Date.now() + lifeMs;
    await (by === 'kill' ? sandbox.kill() : sandbox.setTimeout(lifeMs));
    for (const { error, at } of await Promise.all([ended, endOf(command.wait())])) {
      expect(error).toBeInstanceOf(sdk.TimeoutError);
      expect(at - from).toBeLessThan(late);
    }
    expect(await there.isRunning()).toBe(false);
  });
});

it(`${SANDBOXES} sandboxes at once through both gateways all work, and leave nothing`, async () => {
  const { sdk } = E2B_SDKS[0] as InstalledSdk;
  const living = async (at: TestGateway) => {
    const pages = sdk.Sandbox.list({ ...atGateway(at), limit: 7 });
    const ids: string[] = [];
    while (pages.hasNext) ids.push(...(await pages.nextItems()).map(({ sandboxId }) => sandboxId));
    return ids.sort();
  };
  expect(await living(one)).toEqual([]);
  const sandboxes = await Promise.all(
    Array.from({ length: SANDBOXES }, async (_, n) => {
      const at = atGateway(n % 2 === 0 ? one : other);
      const sandbox = await sdk.Sandbox.create({ ...at, ...PATIENT, metadata: { n: `${n}` } });
      expect((await sandbox.runCode(`n = ${n}; n * n`)).text).toBe(`${n * n}`);
      await sandbox.files.write('n.txt', `file ${n}`);
      expect(await sandbox.files.read('n.txt')).toBe(`file ${n}`);
      expect((await sandbox.commands.run('cat n.txt')).stdout).toBe(`file ${n}`);
      return sandbox;
    }),
  );
  const ids = sandboxes.map(({ sandboxId }) => sandboxId).sort();
  expect(new Set(ids).size).toBe(SANDBOXES);
  for (const gateway of [one, other]) expect(await living(gateway)).toEqual(ids);
  await Promise.all(sandboxes.slice(5).map((sandbox) => sandbox.kill()));
  const left = sandboxes
    .slice(0, 5)
    .map(({ sandboxId }) => sandboxId)
    .sort();
  for (const gateway of [one, other]) expect(await living(gateway)).toEqual(left);
  await Promise.all(sandboxes.slice(0, 5).map((sandbox) => sandbox.kill()));
  for (const gateway of [one, other]) expect(await living(gateway)).toEqual([]);
  const [open] = await installation.sql<{ sessions: number }[]>`
    SELECT count(*)::int AS sessions FROM sessions WHERE closed_at IS NULL`;
  expect(open).toEqual({ sessions: 0 });
  await until('no worker that is busy', async () => {
    const { busyWorkers } = await poolStatus(one);
    return busyWorkers === 0;
  });
});
