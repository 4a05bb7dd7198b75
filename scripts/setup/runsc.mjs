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

/** The name that DOCKER_RUNTIME takes. */
const RUNTIME = 'runsc';

/**
 * network=none: a sandbox without any network stack but loopback; a worker needs no other. host-uds=all: lets the agent's
 * socket in the mounted folder be one of the host's, which is how the gateway reaches it. platform=systrap: the one that
 * needs no virtualisation, so it works on a virtual machine as well. oci-seccomp: gVisor's own kernel refuses the same
 * calls to user code that the host's does under runc.
 */
const RUNTIME_ARGS = ['--network=none', '--host-uds=all', '--platform=systrap', '--oci-seccomp'];

/** The machine's own engine: where it listens, where it is configured, and where its process is named. */
const SYSTEM_PLACES = {
  socket: '/var/run/docker.sock',
  config: '/etc/docker/daemon.json',
  pidFile: '/var/run/docker.pid',
};

/** The engine reads its configuration again within milliseconds. */
const RELOAD_TIMEOUT_MS = 10_000;
const LOOK_INTERVAL_MS = 50;

/**
 * Makes `runsc` (gVisor) a runtime of this machine's engine: the package, the entry in the engine's configuration, where
 * all else stays as it is, and a reload, through which containers live on. Does nothing where it is all there.
 * @param {typeof SYSTEM_PLACES} [places]
 * @throws SetupError when the configuration is not ours to change, or the engine does not take it
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

/** Whether the running engine has that entry. */
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
      `${path} has a runtime "${RUNTIME}" already, but not as workers need it:\n  ${JSON.stringify(wanted)}\n` +
        'Change that entry, or remove it, and run this once more.',
    );
  }
  const merged = { ...config, runtimes: { ...config.runtimes, [RUNTIME]: wanted } };
  mkdirSync(dirname(path), { recursive: true });
  // Whole or not at all: an engine that finds half a file does not start.
  writeFileSync(`${path}.new`, `${JSON.stringify(merged, null, 2)}\n`);
  renameSync(`${path}.new`, path);
  detail(`${path}: "${RUNTIME}" is in "runtimes", the rest is as it was`);
}

function readConfig(path) {
  if (!existsSync(path)) return {};
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new SetupError(`${path} is not JSON: ${cause.message}. Correct it first.`, { cause });
  }
}

/** The engine reads its runtimes anew at SIGHUP, and touches no container. */
async function reload(places, wanted) {
  const pid = engineProcess(places);
  if (pid !== null) process.kill(pid, 'SIGHUP');
  else if (hasSystemd()) await runCommand('systemctl', ['reload', 'docker.service']);
  else throw byHand(places, wanted);
  const deadline = performance.now() + RELOAD_TIMEOUT_MS;
  while (!(await isKnown(wanted))) {
    if (performance.now() > deadline) {
      throw new SetupError(
        `The engine does not know the runtime "${RUNTIME}" after its reload. Its log says why; or it was started with a --config-file other than ${places.config}.`,
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
