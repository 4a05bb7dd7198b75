/**
 * A separate Docker engine for a test, which the test can kill and start again. It has its own folders, and its own
 * network namespace, because it would otherwise change the bridge of the machine's engine. It needs root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { hasCode } from '../src/domain/errors.ts';
import { signal } from '../src/postgres/server.ts';
import { putImageFiles, sendImage } from './engineImage.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const PREFIX = 'ch-own-engine-';
/** Generous, because a start may have to restore or kill containers. */
const START_TIMEOUT_MS = 60_000;
/** Without live-restore, the engine first ends its containers. It gives each container 10 s. */
const STOP_TIMEOUT_MS = 30_000;

export interface OwnEngine {
  /** The value for DOCKER_HOST. */
  readonly host: string;
  /** Its socket, configuration and pid file. */
  readonly places: { readonly socket: string; readonly config: string; readonly pidFile: string };
  readonly docker: Docker;
  /** Resolves when the engine answers. @param liveRestore whether containers outlive the engine. @default true */
  start(liveRestore?: boolean): Promise<void>;
  /** Resolves when the process is gone. Whether its containers go on depends on `liveRestore`: see `start`. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Loads an image of the machine's engine. The image keeps its id. Call this only before the first `start`. */
  load(image: string): Promise<void>;
  /** Ends the engine and its containers, and removes its files. */
  destroy(): Promise<void>;
}

type Runtimes = Readonly<Record<string, unknown>>;

/**
 * Creates an engine without starting it. First destroys the engines that killed test runs have left.
 * @param runtimes its OCI runtimes besides runc. @default those of the machine's engine
 */
export async function createOwnEngine(runtimes = machineRuntimes()): Promise<OwnEngine> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await engineIn(join(tmpdir(), name), {}).destroy();
    }
  }
  return engineIn(mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`)), runtimes);
}

function machineRuntimes(): Runtimes {
  const config = '/etc/docker/daemon.json';
  return existsSync(config) ? (JSON.parse(readFileSync(config, 'utf8')).runtimes ?? {}) : {};
}

function engineIn(root: string, runtimes: Runtimes): OwnEngine {
  const socketPath = join(root, 'docker.sock');
  const docker = new Docker({ socketPath });
  const pidFile = join(root, 'pid');

  async function start(liveRestore = true): Promise<void> {
    await clearRemains(root);
    const child = await spawnEngine(root, { 'live-restore': liveRestore, runtimes });
    const answer = async () => {
      if (child.exitCode !== null) throw new Error('It has ended.');
      // The ping fails until the engine listens.
      return await docker.ping().catch(() => null);
    };
    await until('the engine answers', answer, START_TIMEOUT_MS).catch((cause: unknown) => {
      throw new Error(`The engine has not started. Its log:\n${endOfLog(root)}`, { cause });
    });
  }

  async function kill(name: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    for (const pid of enginesOn(root)) signal(pid, name);
    await until('the engine is gone', async () => enginesOn(root).length === 0, STOP_TIMEOUT_MS);
  }

  return {
    host: `unix://${socketPath}`,
    places: { socket: socketPath, config: join(root, 'daemon.json'), pidFile },
    docker,
    start,
    kill,
    load: async (image) => {
      if (await putImageFiles(image, join(root, 'data'))) return;
      await start();
      await sendImage(image, docker);
      await kill('SIGTERM');
    },
    destroy: async () => {
      if (existsSync(join(root, 'data'))) {
        if (!(await docker.ping().catch(() => null))) {
          // An engine that is starting or ending at this moment would remove the files of the engine started below.
          await kill('SIGKILL');
          await start();
        }
        await until('its containers are gone', () => removeContainers(docker));
        await kill('SIGTERM');
      }
      // With live-restore the engine leaves its data folder mounted on itself. The unmount is lazy, because a process
      // that still has a file open there must not prevent it.
      for (const mount of mountsBelow(root).reverse()) await run('umount', ['--lazy', mount]);
      // Node's `rmSync` takes five times as long for so many files, and blocks the process meanwhile.
      await run('rm', ['--recursive', '--force', root]);
    },
  };
}

/**
 * Tries to remove all containers. It may have to be called again, because the engine refuses to remove a container that
 * a killed gateway was removing.
 * @returns whether there were no containers
 */
async function removeContainers(docker: Docker): Promise<boolean> {
  const all = await docker.listContainers({ all: true });
  const removals = all.map(({ Id }) => docker.getContainer(Id).remove({ force: true }));
  await Promise.allSettled(removals);
  return all.length === 0;
}

/** Starts the engine in its own process session, so that Ctrl-C does not reach it. */
async function spawnEngine(
  root: string,
  settings: Readonly<Record<string, unknown>>,
): Promise<ChildProcess> {
  const { stdout } = await run('sh', ['-c', 'command -v dockerd || echo /usr/sbin/dockerd']);
  const folder = (name: string) => {
    mkdirSync(join(root, name), { recursive: true });
    return join(root, name);
  };
  const config = join(root, 'daemon.json');
  writeFileSync(config, JSON.stringify(settings));
  const args = [
    `--data-root=${folder('data')}`,
    `--exec-root=${folder('exec')}`,
    `--pidfile=${join(root, 'pid')}`,
    `--host=unix://${join(root, 'docker.sock')}`,
    // Without this the engine would use the machine's settings.
    `--config-file=${config}`,
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
  ];
  const log = openSync(join(root, 'log'), 'a');
  const child = spawn('unshare', ['--net', stdout.trim(), ...args], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  await once(child, 'spawn');
  child.unref();
  return child;
}

/**
 * Removes what a killed engine has left. Its containerd dies with it, but leaves a socket. The next engine would wait
 * 10 s for an answer on that socket.
 */
async function clearRemains(root: string): Promise<void> {
  const folder = join(root, 'exec/containerd');
  const pidFile = join(folder, 'containerd.pid');
  if (existsSync(pidFile)) {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await until('its containerd is gone', async () => !isProcessOf(pid, root));
  }
  for (const name of ['containerd.pid', 'containerd.sock', 'containerd.sock.ttrpc']) {
    rmSync(join(folder, name), { force: true });
  }
  rmSync(join(root, 'pid'), { force: true });
}

function endOfLog(root: string): string {
  return readFileSync(join(root, 'log'), 'utf8').trimEnd().split('\n').slice(-20).join('\n');
}

/** All engine processes on this folder, including one that has not written its pid file yet or is about to end. */
function enginesOn(root: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => isProcessOf(pid, `--data-root=${join(root, 'data')}`));
}

/** Whether the process has `words` in its command line. A zombie has no command line any more. */
function isProcessOf(pid: number, words: string): boolean {
  try {
    return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(words);
  } catch (error: unknown) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}

function mountsBelow(root: string): string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[1] ?? '').filter((at) => at.startsWith(`${root}/`));
}
