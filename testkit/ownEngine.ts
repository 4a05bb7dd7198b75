/**
 * A Docker engine of a test's own, to be killed and started again: in a network namespace of its own (it would otherwise meddle
 * with the bridge of the machine's engine) and on folders of its own. It needs root.
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
import { signal } from '../src/postgres/processes.ts';
import { builtImage } from './builtImage.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const PREFIX = 'ch-own-engine-';
/** Each start may have containers to restore, or to kill. */
const START_TIMEOUT_MS = 60_000;
/** Without live-restore it ends its containers first, which have 10 s each for it. */
const STOP_TIMEOUT_MS = 30_000;

export interface OwnEngine {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** Where it listens, is configured and names its process. */
  readonly places: { readonly socket: string; readonly config: string; readonly pidFile: string };
  readonly docker: Docker;
  /** Resolves when it answers. @param liveRestore whether containers outlive it from now on. @default true */
  start(liveRestore?: boolean): Promise<void>;
  /** Resolves when the process is gone. What becomes of containers is the engine's business: see `start`. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Copies an image of the machine's engine. */
  load(image: string): Promise<void>;
  /** Ends it, its containers and all that it has written. */
  destroy(): Promise<void>;
}

type Runtimes = Readonly<Record<string, unknown>>;

/**
 * An engine that is not started yet. Those of test runs that were killed are ended first.
 * @param runtimes what it runs containers with, besides runc. @default what the machine's engine has
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
    await until(
      'the engine answers',
      async () => {
        if (child.exitCode !== null) throw new Error(`The engine ended:\n${endOfLog(root)}`);
        // Refused until it listens.
        return await docker.ping().catch(() => null);
      },
      START_TIMEOUT_MS,
    );
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
      const saved = await new Docker().getImage(image).get();
      await builtImage(docker, await docker.loadImage(saved));
    },
    destroy: async () => {
      if (existsSync(join(root, 'data'))) {
        if (!(await docker.ping().catch(() => null))) {
          // One that is starting or ending would remove the files of the next.
          await kill('SIGKILL');
          await start();
        }
        for (const { Id } of await docker.listContainers({ all: true })) {
          await docker.getContainer(Id).remove({ force: true });
        }
        await kill('SIGTERM');
      }
      // With live-restore the engine leaves its data folder mounted on itself.
      // Lazily: whatever still has a file open there (a search, a process that is ending) must not keep it.
      for (const mount of mountsBelow(root).reverse()) await run('umount', ['--lazy', mount]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** In a process session of its own: no Ctrl-C is meant for it. */
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
    // Not the machine's settings.
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

/** A killed engine's containerd dies with it, but not its socket, on which the next engine would wait for 10 s. */
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

/** Also one that has not written its process id yet, or that is about to end. */
function enginesOn(root: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => isProcessOf(pid, `--data-root=${join(root, 'data')}`));
}

/** A process that has ended and that nobody reaps has no command line any more. */
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
