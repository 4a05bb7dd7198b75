/**
 * A Debian that systemd boots in a container of systemd-nspawn. It has its own processes, users, units and files, and
 * the network of this machine. Docker cannot start containers in it where the machine has version 1 of control groups,
 * so its docker.service hands connections on to an engine of the test. It needs root.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { BASE_IMAGE } from '../../scripts/setup/baseImage.mjs';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { until } from '../../testkit/until.ts';

const run = promisify(execFile);
const BOOT_LIMIT_MS = 120_000;
/** A command in the machine that takes longer counts as hanging, and is killed. */
const COMMAND_LIMIT_MS = 240_000;
const PACKAGES = ['systemd-sysv', 'dbus', 'curl', 'libstdc++6', 'passwd'] as const;

/** Like Debian's units, but the service hands connections on to the engine in /run/engine once that answers. */
const DOCKER_UNITS = {
  'docker.socket': `[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketGroup=docker
[Install]
WantedBy=sockets.target
`,
  'docker.service': `[Unit]
Requires=docker.socket
After=docker.socket
[Service]
Type=notify
TimeoutStartSec=infinity
ExecStartPre=/bin/sh -c 'until curl --silent --fail --max-time 2 --unix-socket /run/engine/docker.sock http://docker/_ping; do sleep 0.2; done'
ExecStart=/usr/lib/systemd/systemd-socket-proxyd /run/engine/docker.sock
[Install]
WantedBy=multi-user.target
`,
};

export interface BootedMachine {
  /** Its root folder on this machine. */
  readonly root: string;
  /** A folder with the same path here and there: Docker mounts it into workers. */
  readonly shared: string;
  boot(): Promise<void>;
  /** `systemctl poweroff`, and waits until the last process has ended. */
  powerOff(): Promise<void>;
  /** Runs a command as root. Resolves with what it printed and its exit code. */
  run(...argv: readonly string[]): Promise<{ readonly code: number; readonly output: string }>;
  destroy(): Promise<void>;
}

/** @param engineFolder the folder with the engine's docker.sock */
export async function createMachine(engineFolder: string): Promise<BootedMachine> {
  // Not /tmp, which may be in memory.
  const folder = mkdtempSync('/var/tmp/cellhouse-machine-');
  const root = join(folder, 'root');
  // A short path: the path of a socket below it may have at most 107 bytes.
  const shared = mkdtempSync('/srv/ch-');
  execFileSync('chmod', ['0777', shared]);
  await extract(await imageWithPackage(new Docker(), BASE_IMAGE, ...PACKAGES), root);
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [name, text] of Object.entries(DOCKER_UNITS))
    write(`etc/systemd/system/${name}`, text);
  write('etc/group', `${readFileSync(join(root, 'etc/group'), 'utf8')}docker:x:990:\n`);
  write('etc/machine-id', '');
  copyFileSync(process.execPath, join(root, 'usr/bin/node'));
  execFileSync('systemctl', [`--root=${root}`, 'enable', 'docker.socket', 'docker.service']);

  let nspawn: ChildProcess | null = null;
  /** The process id of the machine's init, or 0. A signal to 0 would go to the test's own process group. */
  let leader = 0;

  async function boot(): Promise<void> {
    const log = openSync(join(folder, 'console'), 'a');
    const child = spawn(
      'systemd-nspawn',
      [
        ...[
          '--quiet',
          `--directory=${root}`,
          '--boot',
          '--register=no',
          '--keep-unit',
          '--console=pipe',
        ],
        ...['--resolv-conf=off', `--machine=ch-${process.pid}-${Date.now()}`],
        ...[`--bind=${engineFolder}:/run/engine`, `--bind=${shared}`],
      ],
      {
        stdio: ['ignore', log, log],
        env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      },
    );
    closeSync(log);
    nspawn = child;
    leader = await until('the machine has an init', async () => {
      if (child.exitCode !== null)
        throw new Error(
          `systemd-nspawn has ended: ${readFileSync(join(folder, 'console'), 'utf8')}`,
        );
      const path = `/proc/${child.pid}/task/${child.pid}/children`;
      return Number(readFileSync(path, 'utf8').trim().split(' ')[0]);
    });
    await until(
      'systemd in the machine answers',
      async () =>
        /running|degraded|starting/.test((await command('systemctl', 'is-system-running')).output),
      BOOT_LIMIT_MS,
    );
  }

  async function command(...argv: readonly string[]) {
    const enter = [
      `--target=${leader}`,
      '--mount',
      '--uts',
      '--ipc',
      '--net',
      '--pid',
      '--root',
      '--wdns=/',
    ];
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
    const limits = { env, timeout: COMMAND_LIMIT_MS, maxBuffer: 16 * 1024 * 1024 };
    return await run('nsenter', [...enter, '--', ...argv], limits).then(
      ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
      (error: { code?: number; stdout?: string; stderr?: string }) => ({
        code: Number(error.code ?? -1),
        output: `${error.stdout}${error.stderr}`,
      }),
    );
  }

  async function ended(child: ChildProcess): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    nspawn = null;
    leader = 0;
  }

  return {
    root,
    shared,
    boot,
    powerOff: async () => {
      if (nspawn === null) return;
      const child = nspawn;
      await command('systemctl', 'poweroff', '--no-block');
      await ended(child);
    },
    run: command,
    destroy: async () => {
      if (nspawn !== null) {
        const exit = ended(nspawn);
        // The machine would outlive a killed systemd-nspawn.
        if (leader > 0) process.kill(leader, 'SIGKILL');
        else nspawn.kill('SIGKILL');
        await exit;
      }
      await run('rm', ['--recursive', '--force', folder, shared]);
    },
  };
}

/** Writes the files of an image into a folder. */
async function extract(image: string, to: string): Promise<void> {
  const docker = new Docker();
  const container = await docker.createContainer({ Image: image, Cmd: ['true'] });
  try {
    mkdirSync(to, { mode: 0o755 });
    const tar = spawn('tar', ['--extract', '--numeric-owner', `--directory=${to}`], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    const exit = once(tar, 'exit');
    (await container.export()).pipe(tar.stdin);
    const [code] = await exit;
    if (code !== 0) throw new Error(`tar ended with ${code}.`);
  } finally {
    await container.remove({ force: true });
  }
}
