/**
 * Starts Docker's engine where no systemd does. The test starts a second engine in a network namespace of its own, so
 * that the second engine does not interfere with the bridge of the first.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';

const run = promisify(execFile);
const SCRIPT = new URL('../../scripts/setup/dockerd.mjs', import.meta.url).pathname;

const root = mkdtempSync(join(tmpdir(), 'ch-engine-'));
const place = (name: string) => join(root, name);
const places = {
  log: place('log'),
  pidFile: place('pid'),
  containerdPidFile: place('exec/containerd/containerd.pid'),
  containerdSocket: place('containerd.sock'),
  config: place('daemon.json'),
};
const env = {
  ...process.env,
  PATH: `${place('bin')}:${process.env.PATH}`,
  DOCKER_HOST: `unix://${place('docker.sock')}`,
};

/** Only root can start an engine, and `npm test` installs one only as root. */
describe.runIf(process.getuid?.() === 0)('starting an engine', () => {
  beforeAll(async () => {
    const { stdout } = await run('sh', ['-c', 'command -v dockerd || echo /usr/sbin/dockerd']);
    mkdirSync(place('bin'));
    writeFileSync(place('bin/dockerd'), `#!/bin/sh\nexec unshare --net ${stdout.trim()} "$@"\n`);
    chmodSync(place('bin/dockerd'), 0o755);
    writeFileSync(places.config, '{}');
  });

  afterAll(async () => {
    await end('SIGTERM');
    // With live-restore a stopped engine leaves its data folder mounted on itself.
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    const left = mounts.map((line) => line.split(' ')[1] ?? '').filter((at) => at.startsWith(root));
    for (const at of left.reverse()) await run('umount', [at]);
    rmSync(root, { recursive: true, force: true });
  });

  it('gives the engine its own process session and live-restore', async () => {
    await start();
    expect(await sessionOf(enginePid())).toBe(enginePid());
    expect(await liveRestore()).toBe('true');
  });

  it('works after a killed engine, even if other processes have its process ids now', async () => {
    await end('SIGKILL');
    const stranger = spawn('sleep', ['600']);
    await once(stranger, 'spawn');
    writeFileSync(places.pidFile, String(stranger.pid));
    writeFileSync(places.containerdPidFile, String(stranger.pid));
    await start();
    expect(enginePid()).not.toBe(stranger.pid);
    stranger.kill();
  });

  it('leaves live-restore to the configuration if that sets it', async () => {
    await end('SIGTERM');
    writeFileSync(places.config, '{"live-restore": false}');
    await start();
    expect(await liveRestore()).toBe('false');
  });

  it('reports the engine’s own message if the engine does not start', async () => {
    await end('SIGTERM');
    writeFileSync(places.config, '{"no-such-setting": true}');
    await expect(start()).rejects.toThrow(/The Docker engine ended with 1[\s\S]*no-such-setting/);
  });
});

async function start(): Promise<void> {
  const args = [
    `--config-file=${places.config}`,
    `--data-root=${place('data')}`,
    `--exec-root=${place('exec')}`,
    `--pidfile=${places.pidFile}`,
    `--host=${env.DOCKER_HOST}`,
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
  ];
  const code = `import { startDockerd } from ${JSON.stringify(SCRIPT)};
    await startDockerd(${JSON.stringify(places)}, ${JSON.stringify(args)});`;
  await run(process.execPath, ['--input-type=module', '--eval', code], { env });
}

const enginePid = () => Number(readFileSync(places.pidFile, 'utf8'));

/** Ends the engine, if one runs, and waits until it is gone. */
async function end(signal: NodeJS.Signals): Promise<void> {
  if (!existsSync(places.pidFile)) return;
  const pid = enginePid();
  process.kill(pid, signal);
  await until('the engine is gone', async () => commandOf(pid) === '');
}

/** Empty for a process that is dead, even if it is still a zombie. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

async function sessionOf(pid: number): Promise<number> {
  return Number((await run('ps', ['-o', 'sid=', '-p', String(pid)])).stdout);
}

async function liveRestore(): Promise<string> {
  return (
    await run('docker', ['info', '--format', '{{.LiveRestoreEnabled}}'], { env })
  ).stdout.trim();
}
