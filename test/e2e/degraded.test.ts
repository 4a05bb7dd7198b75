/**
 * When workers cannot be made, the reason is reported everywhere, sessions go on, and waiting calls are served
 * afterwards.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { workerImage } from '../../testkit/workerImage.ts';

const run = promisify(execFile);
/** The pool notices at its next attempt that the cause is gone: at most 30 s after the last attempt. */
const PATIENCE = { waitForWorkerMs: 60_000 };
/** Each start takes long on a busy machine. */
const TIMEOUT_MS = 240_000;
/** The tests may run at the same time: each has its own gateway, and mostly waits for the next attempt. */
const BESIDE_OTHERS = { concurrent: true, timeout: TIMEOUT_MS };

async function degradation(gateway: TestGateway): Promise<string | null | undefined> {
  const { data } = await gateway.graphql<{
    poolStatus: { degradation: { reason: string } | null };
  }>('{ poolStatus { degradation { reason } } }');
  return data && (data.poolStatus.degradation?.reason ?? null);
}

/** Expects that every place reports the reason, and that a call that does not wait is refused with it. */
async function expectTold(gateway: TestGateway, reason: string, words: string): Promise<void> {
  await until('the reason is reported', async () => (await degradation(gateway)) === reason);
  const ready = await fetch(`${gateway.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: 'degraded', reasons: [expect.stringContaining(words)] },
  ]);
  const metrics = await fetch(`${gateway.url}/metrics`, {
    headers: { 'X-Auth-Token': gateway.token },
  });
  expect(await metrics.text()).toContain(
    `cellhouse_pool_degraded{reason="${reason.toLowerCase().replaceAll('_', '-')}"} 1`,
  );
  const { errors } = await gateway.graphql(
    'mutation { execute(input: { userUuid: "hasty", code: "1", waitForWorkerMs: 0 }) { id } }',
  );
  expect(errors).toMatchObject([
    {
      message: expect.stringContaining(words),
      extensions: { code: 'WORKER_START_FAILED', retryAfterMs: expect.any(Number) },
    },
  ]);
}

/** Waiting calls are served, and no reason is reported any more. */
async function expectHealed(
  gateway: TestGateway,
  waiting: readonly Promise<unknown>[],
): Promise<void> {
  for (const served of await Promise.all(waiting)) {
    expect(served).toMatchObject({ status: 'OK', resultText: '2' });
  }
  expect(await degradation(gateway)).toBe(null);
  expect(await (await fetch(`${gateway.url}/readyz`)).json()).toEqual({
    status: 'ready',
    reasons: [],
  });
}

describe('a worker image', BESIDE_OTHERS, () => {
  it('a missing worker image is reported, and used as soon as it exists', async () => {
    const docker = new Docker();
    const repo = `cellhouse-test-missing-${randomUUID()}`;
    const gateway = await startTestGateway({ WORKER_IMAGE: `${repo}:1` });
    try {
      const waiting = execute(gateway, 'patient', '1 + 1', PATIENCE);
      await expectTold(gateway, 'IMAGE_MISSING', 'image does not exist');
      await docker.getImage(workerImage()).tag({ repo, tag: '1' });
      await expectHealed(gateway, [waiting]);
    } finally {
      await gateway.destroy();
      // Removes only this name of the image.
      await docker.getImage(`${repo}:1`).remove();
    }
  });
});

describe('a container', BESIDE_OTHERS, () => {
  it('a container that ends while it starts is reported, and the pool tries again', async () => {
    const docker = new Docker();
    const repo = `cellhouse-test-ending-${randomUUID()}`;
    const template = await docker.createContainer({ Image: workerImage() });
    const changes = 'ENTRYPOINT ["/bin/false"]';
    const { Id } = (await template.commit({ repo, tag: '1', changes })) as { Id: string };
    await template.remove();
    const gateway = await startTestGateway({ WORKER_IMAGE: `${repo}:1` });
    try {
      const waiting = execute(gateway, 'patient', '1 + 1', PATIENCE);
      await expectTold(gateway, 'WORKER_START_FAILED', 'could not be started');
      expect(gateway.log()).toContain('Its container ended while it started (exit code 1)');
      await docker.getImage(workerImage()).tag({ repo, tag: '1' });
      await expectHealed(gateway, [waiting]);
    } finally {
      await gateway.destroy();
      await docker.getImage(`${repo}:1`).remove();
      await docker.getImage(Id).remove();
    }
  });
});

/** Only root can mount. */
describe.runIf(process.getuid?.() === 0)('a disk', BESIDE_OTHERS, () => {
  it('a full disk is reported; sessions go on, and new users are served when there is room', async () => {
    const socketDir = mkdtempSync(join(tmpdir(), 'ch-full-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=1000', 'tmpfs', socketDir]);
    try {
      const gateway = await startTestGateway({ SOCKET_DIR: socketDir, MIN_IDLE_WORKERS: '1' });
      try {
        await execute(gateway, 'early', 'n = 1');
        await until('nothing is being made', async () => {
          const { idleWorkers, startingWorkers } = await poolStatus(gateway);
          return idleWorkers === 1 && startingWorkers === 0;
        });
        // The disk has room only for what is there already.
        await run('mount', ['-o', `remount,nr_inodes=${await inodesOf(socketDir)}`, socketDir]);
        const waiting = ['one', 'two', 'three'].map((user) =>
          execute(gateway, user, '1 + 1', PATIENCE),
        );
        await expectTold(gateway, 'DISK_FULL', 'disk is full');
        expect(await execute(gateway, 'early', 'n')).toMatchObject({ resultText: '1' });
        await run('mount', ['-o', 'remount,nr_inodes=1000', socketDir]);
        await expectHealed(gateway, waiting);
      } finally {
        await gateway.destroy();
      }
    } finally {
      await run('umount', [socketDir]);
      rmSync(socketDir, { recursive: true, force: true });
    }
  });
});

async function inodesOf(folder: string): Promise<number> {
  const { stdout } = await run('df', ['--output=iused', folder]);
  return Number(stdout.trim().split('\n').at(-1));
}
