import { findProgram } from './findProgram.mjs';
import { runCommand } from './runCommand.mjs';
import { SetupError } from './setupError.mjs';
import { detail, step } from './steps.mjs';

/**
 * Installs Debian packages if this runs as root on a machine with apt.
 * @param {string[]} packages
 * @param {string} purpose what they are for, e.g. `a Docker engine`
 * @throws SetupError that says what is missing and how to install it
 */
export async function aptInstall(packages, purpose) {
  const command = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  const byHand = `  apt-get update\n  ${command}`;
  if (findProgram('apt-get') === null) {
    throw new SetupError(
      `${capitalised(purpose)} is missing, and this machine has no apt-get to install it with.`,
    );
  }
  if (process.getuid() !== 0) {
    throw new SetupError(`${capitalised(purpose)} is missing. As root, run:\n${byHand}`);
  }
  await step(`Installing ${purpose}`, async () => {
    detail(command);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = {
      env,
      advice: `Run these commands yourself until they work, then start again:\n${byHand}`,
    };
    await runCommand('apt-get', ['update', '-qq'], options);
    const known = await knownPackages(packages);
    await runCommand(
      'apt-get',
      ['install', '-y', '-qq', '--no-install-recommends', ...WAIT_FOR_LOCK, ...known],
      options,
    );
  });
}

/** Waits up to 300 s for another apt, which may be running, for example after a machine's first boot. */
const WAIT_FOR_LOCK = ['-o', 'DPkg::Lock::Timeout=300'];

/** The packages that exist here. Releases differ: Ubuntu's `docker.io` includes what is `docker-cli` in Debian. */
async function knownPackages(packages) {
  const policy = await runCommand('apt-cache', ['policy', ...packages]);
  const known = packages.filter((name) => policy.split('\n').includes(`${name}:`));
  if (known.length > 0) return known;
  throw new SetupError(`This machine's package sources know none of ${packages.join(', ')}.`);
}

function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
