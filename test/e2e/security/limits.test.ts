/**
 * Code that takes all it can of one resource gets only its share, and the session works afterwards. The code of each
 * test ends by itself, so that a missing limit does not harm the machine.
 */

import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WORKER_HOME } from '../../../src/domain/worker.ts';
import { startTestGateway, type TestGateway } from '../../../testkit/gateway.ts';
import {
  containerOf,
  type ExecutionResult,
  execute,
  restartKernel,
} from '../../../testkit/interpreter.ts';
import { workerImage } from '../../../testkit/workerImage.ts';
import { EXTENT } from '../../extent.ts';

const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);

const MAX_PIDS = 96;
const DISK_MB = 64;
/** gVisor is a little late in counting threads and processes that begin or end. */
const SLACK_PIDS = 32;
const MIB = 1024 * 1024;
const TIMEOUT = { timeoutMs: 60_000 };

describe.each(EXTENT.runtimes)('under %s', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({
      WORKER_IMAGE: workerImage(),
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '1',
      WORKER_PIDS: String(MAX_PIDS),
      WORKER_DISK_MB: String(DISK_MB),
    });
  });
  afterAll(() => gateway?.destroy());

  const run = async (code: string, user = 'mallory'): Promise<ExecutionResult> =>
    await execute(gateway, user, code, TIMEOUT);
  const works = async (user = 'mallory'): Promise<void> => {
    const ran = await run('import pandas; print(pandas.DataFrame({"a": [6 * 7]}).a[0])', user);
    expect(ran).toMatchObject({ status: 'OK', stdout: '42\n', stderr: '' });
  };

  it('the number of processes is limited, and a kernel can be replaced at the limit', async () => {
    // Small programs are started, because each fork of the kernel also takes memory: under gVisor some 40 MB.
    const forked = await run(`
import errno, os
count = 0
try:
    for count in range(400):
        os.posix_spawn("/usr/bin/sleep", ["sleep", "60"], {})
except OSError as error:
    print(errno.errorcode[error.errno])
print(count)`);
    expect(forked).toMatchObject({
      status: 'OK',
      stdout: expect.stringMatching(/^EAGAIN\n\d+\n$/),
    });
    const slack = tier === 'runc' ? 0 : SLACK_PIDS;
    expect(Number(forked.stdout.split('\n')[1])).toBeLessThan(MAX_PIDS + slack);
    await restartKernel(gateway, 'mallory');
    await works();
  });

  it('threads count as processes', async () => {
    const started = await run(`
import threading
stop = threading.Event()
count = 0
try:
    for _ in range(400):
        threading.Thread(target=stop.wait, daemon=True).start()
        count += 1
except RuntimeError as error:
    print(error)
stop.set()
print(count)`);
    expect(started.stdout).toMatch(/^can't start new thread\n\d+\n$/);
    expect(Number(started.stdout.split('\n')[1])).toBeLessThan(MAX_PIDS + SLACK_PIDS);
    await works();
  });

  it('the number of open files is limited', async () => {
    const opened = await run(`
import os, errno
files = []
try:
    for _ in range(4000):
        files.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(errno.errorcode[error.errno], len(files) < 1024)
for file in files:
    os.close(file)`);
    expect(opened).toMatchObject({ status: 'OK', stdout: 'EMFILE True\n' });
    await works();
  });

  it.each([
    [WORKER_HOME, DISK_MB / 2],
    ['/tmp', DISK_MB / 4],
    ['/dev/shm', DISK_MB / 4],
  ])(
    '%s ends with ENOSPC at %i MiB; code still runs on a full disk, and can empty it',
    async (folder, sizeMb) => {
      const filled = await run(`
import errno, os
size = 0
try:
    with open("${folder}/bomb", "wb", buffering=0) as file:
        while size < 4 * ${sizeMb * MIB}:
            size += file.write(bytes(65536))
except OSError as error:
    print(errno.errorcode[error.errno])
print(size)`);
      expect(filled.stdout).toMatch(/^ENOSPC\n/);
      expect(Number(filled.stdout.split('\n')[1])).toBeLessThanOrEqual(sizeMb * MIB);
      await works();
      expect(await run(`os.unlink("${folder}/bomb")`)).toMatchObject({ status: 'OK' });
    },
  );

  // gVisor does not limit the number of files. They cost memory, and the memory limit ends the whole container.
  if (tier === 'runc')
    it('too many empty files end with ENOSPC, too', async () => {
      const made = await run(`
import errno, os
os.mkdir("${WORKER_HOME}/empty")
count = 0
try:
    for count in range(100_000):
        os.close(os.open(f"${WORKER_HOME}/empty/{count}", os.O_CREAT | os.O_WRONLY))
except OSError as error:
    print(errno.errorcode[error.errno], count < 65_536)
import shutil
shutil.rmtree("${WORKER_HOME}/empty")`);
      expect(made).toMatchObject({ status: 'OK', stdout: 'ENOSPC True\n' });
      await works();
    });

  it('four processes that compute share one CPU', async () => {
    await works();
    const container = docker.getContainer(await containerOf(gateway, 'mallory'));
    const before = await cpuOf(container);
    const ran = await run(`
import os, time
for _ in range(4):
    if os.fork() == 0:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            pass
        os._exit(0)
for _ in range(4):
    os.wait()`);
    expect(ran.status).toBe('OK');
    const after = await cpuOf(container);
    expect((after.cpuMs - before.cpuMs) / (after.atMs - before.atMs)).toBeLessThan(1.15);
  });

  it("what code writes directly to file descriptors stays out of the container's log", async () => {
    const ran = await run(`
import os
for _ in range(200):
    os.write(1, b"log bomb " * 4096)
    os.write(2, b"log bomb " * 4096)`);
    expect(ran.status).toBe('OK');
    const container = docker.getContainer(await containerOf(gateway, 'mallory'));
    const log = await container.logs({ stdout: true, stderr: true });
    expect(log.length).toBeLessThan(16_384);
    expect(log.toString()).not.toContain('log bomb');
  });

  it('memory ends at its limit; the reported reason is true, and the user can go on', async () => {
    await works('victim');
    await run(`open("${WORKER_HOME}/kept", "w").close()`);
    const ran = await run('bombs = [bytes(1) * 50_000_000 for _ in range(40)]');
    const end = await endOfSession(gateway, 'mallory');
    const next = await run(`import os; print(os.path.exists("${WORKER_HOME}/kept"))`);
    if (tier === 'runc') {
      expect(ran).toMatchObject({
        status: 'ERROR',
        error: { name: 'OutOfMemory' },
        stateLost: true,
      });
      expect(next.stdout).toBe('True\n');
    } else {
      // The host's kernel ends the sandbox as a whole.
      expect(ran).toMatchObject({ status: 'WORKER_LOST' });
      expect(next).toMatchObject({ stdout: 'False\n', stateLost: true });
      expect(end).toEqual({ closeReason: 'WORKER_LOST', worker: { endReason: 'OOM' } });
    }
    await works();
    await works('victim');
  });
});

/** CPU that a container has used, as the host counts it. */
async function cpuOf(container: Docker.Container): Promise<{ cpuMs: number; atMs: number }> {
  const { cpu_stats } = await container.stats({ stream: false, 'one-shot': true });
  return { cpuMs: cpu_stats.cpu_usage.total_usage / 1e6, atMs: performance.now() };
}

/** How the user's last session ended. */
async function endOfSession(gateway: TestGateway, userUuid: string): Promise<unknown> {
  const answer = await gateway.graphql<{ session: unknown }>(
    'query End($user: String!) { session(userUuid: $user) { closeReason worker { endReason } } }',
    { user: userUuid },
  );
  return answer.data?.session;
}
