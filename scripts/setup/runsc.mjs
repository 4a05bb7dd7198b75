import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { aptInstall } from './aptInstall.mjs';
import { engineProcess } from './dockerd.mjs';
import { ask, engineSocket } from './engineApi.mjs';
import { findProgram } from './findProgram.mjs';
import { runCommand } from './runCommand.mjs';
import { SetupError } from './setupError.mjs';
import { detail, step } from './steps.mjs';
import { hasSystemd } from './systemdDocker.mjs';

/** The value of DOCKER_RUNTIME that selects gVisor. */
const RUNTIME = 'runsc';

/**
 * - network=none: the sandbox has only a loopback network; a worker needs no other.
 * - host-uds=all: the agent's socket in the mounted folder is a socket of the host, so the gateway can connect to it.
 * - platform=systrap: this platform needs no virtualisation, so it also works on a virtual machine.
 * - oci-seccomp: gVisor's kernel refuses the same system calls of user code that the host's kernel refuses under runc.
 */
const RUNTIME_ARGS = ['--network=none', '--host-uds=all', '--platform=systrap', '--oci-seccomp'];

/** The socket, configuration and pid file of the machine's own engine. */
const SYSTEM_PLACES = {
  socket: '/var/run/docker.sock',
  config: '/etc/docker/daemon.json',
  pidFile: '/var/run/docker.pid',
};

/** Generous: the engine reloads its configuration within milliseconds. */
const RELOAD_TIMEOUT_MS = 10_000;
const LOOK_INTERVAL_MS = 50;

/**
 * Makes `runsc` (gVisor) a runtime of this machine's engine. It installs the package, adds an entry to the engine's
 * configuration without changing anything else there, and reloads the engine, which does not affect containers. It does
 * nothing if all this is done already.
 * @param {typeof SYSTEM_PLACES} [places]
 * @throws SetupError if this process may not change the configuration, or the engine does not accept it
 */
export async function ensureRunsc(places = SYSTEM_PLACES) {
  if (findProgram(RUNTIME) === null) await aptInstall([RUNTIME], 'gVisor');
  const wanted = { path: findProgram(RUNTIME), runtimeArgs: RUNTIME_ARGS };
  if (await isKnown(wanted)) return;
  if (engineSocket() !== places.socket || process.getuid() !== 0) throw byHand(places, wanted);
  await step(`Adding the runtime "${RUNTIME}" to the Docker engine`, async () => {
    register(places.config, wanted);
    await reload(places, wanted);
  });
}

/** Whether the running engine has loaded that entry. */
async function isKnown(wanted) {
  const known = (await ask('/info'))?.Runtimes?.[RUNTIME];
  return known?.path === wanted.path && isDeepStrictEqual(known.runtimeArgs, wanted.runtimeArgs);
}

function register(path, wanted) {
  const config = readConfig(path);
  const present = config.runtimes?.[RUNTIME];
  if (isDeepStrictEqual(present, wanted)) return;
  if (present !== undefined) {
    throw new SetupError(
      `${path} already has a runtime "${RUNTIME}", but workers need this one:\n  ${JSON.stringify(wanted)}\n` +
        'Change or remove that entry, then run this again.',
    );
  }
  const merged = { ...config, runtimes: { ...config.runtimes, [RUNTIME]: wanted } };
  mkdirSync(dirname(path), { recursive: true });
  // Replaced as a whole, because an engine does not start with an incomplete file.
  writeFileSync(`${path}.new`, `${JSON.stringify(merged, null, 2)}\n`);
  renameSync(`${path}.new`, path);
  detail(`${path}: added "${RUNTIME}" to "runtimes"; nothing else has changed`);
}

function readConfig(path) {
  if (!existsSync(path)) return {};
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new SetupError(`${path} is not JSON: ${cause.message}. Correct it first.`, { cause });
  }
}

/** At SIGHUP the engine reloads its runtimes, without affecting containers. */
async function reload(places, wanted) {
  const pid = engineProcess(places);
  if (pid !== null) process.kill(pid, 'SIGHUP');
  else if (hasSystemd()) await runCommand('systemctl', ['reload', 'docker.service']);
  else throw byHand(places, wanted);
  const deadline = performance.now() + RELOAD_TIMEOUT_MS;
  while (!(await isKnown(wanted))) {
    if (performance.now() > deadline) {
      throw new SetupError(
        `The engine does not know the runtime "${RUNTIME}" after its reload. Either its log says why, or it was started with a --config-file other than ${places.config}.`,
      );
    }
    await delay(LOOK_INTERVAL_MS);
  }
}

function byHand(places, wanted) {
  return new SetupError(
    `The Docker engine at ${engineSocket()} does not have the runtime "${RUNTIME}". As root, add to "runtimes" in its configuration (${places.config})\n` +
      `  "${RUNTIME}": ${JSON.stringify(wanted)}\n` +
      `and have the engine read it: ${hasSystemd() ? 'systemctl reload docker' : 'kill -HUP <pid of dockerd>'}`,
  );
}
