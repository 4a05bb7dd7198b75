/**
 * Tests the agent on version 2 of control groups, whatever version the machine has: QEMU emulates a machine with
 * Debian's Linux, the worker image as its root, and only version 2 enabled. The test takes 40 seconds, and several
 * times that on a busy machine.
 */
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { startWatched, type WatchedContainer } from '../support/watchedContainer.ts';

const MEBIBYTE = 1_048_576;
const MEMORY_MAX_BYTES = 500 * MEBIBYTE;
/** The longest silence, from the agent's start until its kernel is ready, is 17 seconds on an idle machine. */
const SILENCE_LIMIT_MS = 300_000;
/** Vitest's limit is off, because only silence is limited: a machine that keeps printing will finish. */
const NO_LIMIT = 0;
const PACKAGES = ['qemu-system-x86', 'virtiofsd', 'linux-image-cloud-amd64'] as const;
const FIXTURE = new URL('../fixtures/cgroupV2', import.meta.url).pathname;

interface Told {
  readonly report: {
    readonly outcome: string;
    readonly state_lost: boolean;
    readonly cpu_ms: number;
    readonly peak_memory_bytes: number;
    readonly exit_code: number | null;
  };
  readonly usage: {
    readonly cpu_ms: number;
    readonly memory_bytes: number;
    readonly memory_limit_bytes: number;
    readonly oom_kills: number;
  };
}

async function startMachine(): Promise<WatchedContainer> {
  const WORKER_IMAGE = workerImage();
  const docker = new Docker();
  const options = {
    Image: await imageWithPackage(docker, WORKER_IMAGE, ...PACKAGES),
    Entrypoint: ['tini', '--', '/fixture/machine.sh'],
    Env: [`MEMORY_MAX=${MEMORY_MAX_BYTES}`],
    Labels: { 'cellhouse.test': 'cgroup-v2' },
    HostConfig: {
      NetworkMode: 'none',
      Binds: [`${FIXTURE}:/fixture:ro`],
      Tmpfs: { '/memory': 'size=1m' },
    },
  };
  return await startWatched(docker, options, SILENCE_LIMIT_MS);
}

/** The results that the driver in the machine got for each piece of code (test/fixtures/cgroupV2/drive.py). */
function toldIn(printed: string): Told[] {
  const lines = printed.split('\n').filter((line) => line.startsWith('TOLD '));
  return lines.map((line) => JSON.parse(line.slice('TOLD '.length)) as Told);
}

/** The emulated machine and its Linux are for x86-64. */
describe.runIf(process.arch === 'x64')('the agent on version 2 of control groups', () => {
  let machine: WatchedContainer | undefined;
  let told: Told[];
  beforeAll(async () => {
    machine = await startMachine();
    told = toldIn(await machine.ended);
  }, NO_LIMIT);

  afterAll(async () => {
    await machine?.close();
  });

  const at = (index: number): Told => {
    const found = told[index];
    if (!found) throw new Error(`Only ${told.length} executions ended.`);
    return found;
  };

  it('measures CPU of the execution, not of the container', () => {
    expect(at(0).report).toMatchObject({ outcome: 'finished', state_lost: false });
    expect(at(0).report.cpu_ms).toBeLessThan(1_000);
    expect(at(1).report.cpu_ms).toBeGreaterThan(900);
    expect(at(1).usage.cpu_ms - at(0).usage.cpu_ms).toBeGreaterThanOrEqual(at(1).report.cpu_ms);
  });

  it('measures the peak of the execution without the cache', () => {
    const idle = at(1).usage.memory_bytes;
    const before = at(1).report.peak_memory_bytes;
    expect(at(2).report.peak_memory_bytes - before).toBeGreaterThan(95 * MEBIBYTE);
    expect(at(2).usage.memory_bytes - idle).toBeLessThan(20 * MEBIBYTE);
    // A file in /tmp is memory that cannot be reclaimed.
    expect(at(3).usage.memory_bytes - idle).toBeGreaterThan(45 * MEBIBYTE);
    expect(at(4).usage.memory_bytes - idle).toBeLessThan(20 * MEBIBYTE);
  });

  it('reports the memory limit, and the kernel that hit it', () => {
    expect(at(4).usage).toMatchObject({ memory_limit_bytes: MEMORY_MAX_BYTES, oom_kills: 0 });
    expect(at(5).report).toMatchObject({
      outcome: 'out_of_memory',
      state_lost: true,
      exit_code: -9,
    });
    expect(at(5).report.peak_memory_bytes).toBeGreaterThan(MEMORY_MAX_BYTES / 2);
    expect(at(5).report.peak_memory_bytes).toBeLessThanOrEqual(MEMORY_MAX_BYTES);
    expect(at(5).usage.oom_kills).toBeGreaterThanOrEqual(1);
    expect(at(6).report).toMatchObject({ outcome: 'finished', exit_code: null });
  });
});
