import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect } from 'node:net';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { whyNoEngine } from './engineApi.mjs';
import { findProgram } from './findProgram.mjs';
import { lastLines } from './runCommand.mjs';
import { SetupError } from './setupError.mjs';
import { detail } from './steps.mjs';

/** Generous, because the engine restores its containers before it answers. */
const START_TIMEOUT_MS = 60_000;
const LOOK_INTERVAL_MS = 100;
/** One old log is kept beside the current one. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** The engine's files. A crash can leave some of them behind. */
const SYSTEM_PLACES = {
  log: '/var/log/dockerd.log',
  pidFile: '/var/run/docker.pid',
  containerdPidFile: '/var/run/docker/containerd/containerd.pid',
  containerdSocket: '/run/containerd/containerd.sock',
  config: '/etc/docker/daemon.json',
};

/**
 * Starts `dockerd` on a machine without systemd. It gets its own process session, so that it outlives this process, and
 * live-restore, so that workers outlive it. Resolves when the engine answers.
 * @param {typeof SYSTEM_PLACES} [places] @param {string[]} [args] further arguments
 */
export async function startDockerd(places = SYSTEM_PLACES, args = []) {
  if (isProcess(places.pidFile, 'dockerd')) {
    detail('one is starting already');
    const end = () => (isProcess(places.pidFile, 'dockerd') ? null : 'ended while it started');
    return waitForEngine(end, `See ${places.log}`);
  }
  await clearRemains(places);
  detail(`log: ${places.log}`);
  const log = openLog(places.log);
  const child = spawn(findProgram('dockerd') ?? 'dockerd', [...liveRestore(places), ...args], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  let end = null;
  child.on('error', (e) => {
    end = e.message;
  });
  child.on('exit', (code, signal) => {
    end = `ended with ${code ?? signal}`;
  });
  const logged = () => `The end of ${places.log}:\n${lastLines(readFileSync(places.log, 'utf8'))}`;
  return waitForEngine(() => end, logged);
}

/** dockerd refuses a setting that is both in its configuration file and on its command line. */
function liveRestore(places) {
  const config = existsSync(places.config) ? JSON.parse(readFileSync(places.config, 'utf8')) : {};
  return 'live-restore' in config ? [] : ['--live-restore'];
}

/**
 * Waits until the engine answers.
 * @param {() => string | null} end returns why the engine will never answer, once that is known
 * @param {string | (() => string)} advice
 */
export async function waitForEngine(end, advice) {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const why = await whyNoEngine();
    if (why === null) return;
    const ended = end();
    if (ended !== null || performance.now() > deadline) {
      const how = ended ?? `does not answer after ${START_TIMEOUT_MS / 1000} s (${why})`;
      throw new SetupError(
        `The Docker engine ${how}. ${typeof advice === 'string' ? advice : advice()}`,
      );
    }
    await delay(LOOK_INTERVAL_MS);
  }
}

/**
 * Removes files of a killed engine that would mislead the next one. These are pid files, whose numbers other processes
 * may have by now, and the socket of a containerd that is gone. dockerd would wait for an answer on that socket.
 */
async function clearRemains(places) {
  rmSync(places.pidFile, { force: true });
  if (!isProcess(places.containerdPidFile, 'containerd'))
    rmSync(places.containerdPidFile, { force: true });
  if (existsSync(places.containerdSocket) && !(await isAnswered(places.containerdSocket))) {
    rmSync(places.containerdSocket, { force: true });
  }
}

/**
 * The engine's process id according to its pid file. Null if there is no such process, or if it is another program by
 * now.
 * @param {{ pidFile: string }} [places] @returns {number | null}
 */
export function engineProcess(places = SYSTEM_PLACES) {
  if (!isProcess(places.pidFile, 'dockerd')) return null;
  return Number(readFileSync(places.pidFile, 'utf8'));
}

/** Whether the pid file names a live process of this program. A zombie has no command line and does not count. */
function isProcess(pidFile, name) {
  if (!existsSync(pidFile)) return false;
  const commandLine = `/proc/${readFileSync(pidFile, 'utf8').trim()}/cmdline`;
  if (!existsSync(commandLine)) return false;
  return basename(readFileSync(commandLine, 'utf8').split('\0')[0] ?? '') === name;
}

/** @returns {Promise<boolean>} */
function isAnswered(socketPath) {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

function openLog(path) {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES)
    renameSync(path, `${path}.old`);
  return openSync(path, 'a', 0o600);
}
