/**
 * The agent on version 2 of control groups, whatever the machine has: Linux as a program (Debian's user-mode-linux) in a
 * container, with the worker image as its root and no other version compiled in.
 */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { beforeAll, describe, expect, it } from 'vitest';
import { imageWithPackage } from '../../testkit/imageWithPackage.ts';

const MEBIBYTE = 1_048_576;
const MEMORY_MAX_BYTES = 500 * MEBIBYTE;
/** It boots in seconds; each system call of what runs in it takes several of the machine. */
const BOOT_TIMEOUT_MS = 300_000;
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

/** What the driver in it was told of each piece of code (test/fixtures/cgroupV2/drive.py). */
async function boot(): Promise<Told[]> {
  const { WORKER_IMAGE } = process.env;
  if (!WORKER_IMAGE)
    throw new Error('WORKER_IMAGE is not set. npm test builds the image and sets it.');
  const docker = new Docker();
  const image = await imageWithPackage(docker, WORKER_IMAGE, 'user-mode-linux');
  const output = new PassThrough();
  const printed = text(output);
  const root = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro'];
  const console = ['con=null', 'con0=fd:0,fd:1', 'quiet'];
  const init = ['init=/fixture/init.sh', `MEMORY_MAX=${MEMORY_MAX_BYTES}`];
  await docker.run(image, ['mem=1000M', ...root, ...console, ...init], output, {
    Tty: true,
    Entrypoint: ['linux.uml'],
    Env: ['TMPDIR=/memory'],
    Labels: { 'cellhouse.test': 'cgroup-v2' },
    HostConfig: {
      AutoRemove: true,
      NetworkMode: 'none',
      Binds: [`${FIXTURE}:/fixture:ro`],
      // What is its memory is a file that it executes.
      Tmpfs: { '/memory': 'exec,size=1100m' },
    },
  });
  output.end();
  const lines = (await printed).split('\n').filter((line) => line.startsWith('TOLD '));
  return lines.map((line) => JSON.parse(line.slice('TOLD '.length)) as Told);
}

/** Debian has it for this processor only. */
describe.runIf(process.arch === 'x64')('on version 2 of control groups', () => {
  let told: Told[];
  beforeAll(async () => {
    told = await boot();
  }, BOOT_TIMEOUT_MS);

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

  it('measures the peak of the execution, and not the cache', () => {
    const idle = at(1).usage.memory_bytes;
    expect(at(2).report.peak_memory_bytes - idle).toBeGreaterThan(95 * MEBIBYTE);
    expect(at(2).usage.memory_bytes - idle).toBeLessThan(20 * MEBIBYTE);
    // A file in /tmp is memory, and nobody can take it back.
    expect(at(3).usage.memory_bytes - idle).toBeGreaterThan(45 * MEBIBYTE);
    expect(at(4).usage.memory_bytes - idle).toBeLessThan(20 * MEBIBYTE);
  });

  it('tells of the limit, and of the kernel that hit it', () => {
    expect(at(4).usage).toMatchObject({ memory_limit_bytes: MEMORY_MAX_BYTES, oom_kills: 0 });
    expect(at(5).report).toMatchObject({
      outcome: 'out_of_memory',
      state_lost: true,
      exit_code: -9,
      peak_memory_bytes: MEMORY_MAX_BYTES,
    });
    expect(at(5).usage.oom_kills).toBeGreaterThanOrEqual(1);
    expect(at(6).report).toMatchObject({ outcome: 'finished', exit_code: null });
  });
});
