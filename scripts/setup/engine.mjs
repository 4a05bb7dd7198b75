import { aptInstall } from './aptInstall.mjs';
import { startDockerd } from './dockerd.mjs';
import { engineSocket, whyNoEngine } from './engineApi.mjs';
import { findProgram } from './findProgram.mjs';
import { SetupError } from './setupError.mjs';
import { step } from './steps.mjs';
import { hasSystemd, startDockerService, writeLiveRestore } from './systemdDocker.mjs';

/**
 * Resolves when a Docker engine answers. If none does, starts the machine's own engine, and installs it if necessary.
 * @throws SetupError with the exact commands for the user, if this process may not do it
 */
export async function ensureEngine() {
  const why = await whyNoEngine();
  if (why === null) return;
  if (why === 'EACCES') throw new SetupError(NO_ACCESS);
  const found = `No Docker engine answers at ${engineSocket()} (${why}).`;
  if (process.env.DOCKER_HOST) {
    throw new SetupError(
      `${found} DOCKER_HOST names that address. Start the engine, or unset DOCKER_HOST.`,
    );
  }
  if (process.getuid() !== 0) throw new SetupError(`${found} As root, run:\n${byHand()}`);
  console.log(found);
  const isInstalled = findProgram('dockerd') !== null;
  if (!isInstalled) await install();
  if ((await whyNoEngine()) === null) return;
  await step('Starting the Docker engine', hasSystemd() ? startDockerService : startDockerd);
}

/** docker.io only recommends some of these. Without ca-certificates, no registry or mirror over https is trusted. */
async function install() {
  writeLiveRestore();
  await aptInstall(['docker.io', 'docker-cli', 'iptables', 'ca-certificates'], 'a Docker engine');
}

const NO_ACCESS = `The Docker engine at ${engineSocketName()} does not let this user in. As root, run:
  usermod --append --groups docker ${process.env.USER ?? '<you>'}
then log in again.`;

function engineSocketName() {
  return process.env.DOCKER_HOST || '/var/run/docker.sock';
}

function byHand() {
  const start = hasSystemd()
    ? 'systemctl start docker'
    : 'setsid dockerd --live-restore >/var/log/dockerd.log 2>&1 &';
  const access = `usermod --append --groups docker ${process.env.USER ?? '<you>'}`;
  const install = 'apt-get update\n  apt-get install --no-install-recommends docker.io docker-cli';
  return `  ${findProgram('dockerd') === null ? `${install}\n  ` : ''}${start}\n  ${access}\nthen log in again and run this once more.`;
}
