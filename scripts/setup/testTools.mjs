import { existsSync } from 'node:fs';
import { aptInstall } from './aptInstall.mjs';
import { findProgram } from './findProgram.mjs';
import { ensureRunsc } from './runsc.mjs';
import { SetupError } from './setupError.mjs';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];

/** Where the docker program looks for plug-ins, besides ~/.docker. */
const PLUGIN_FOLDERS = [
  '/usr/libexec/docker/cli-plugins',
  '/usr/lib/docker/cli-plugins',
  '/usr/local/libexec/docker/cli-plugins',
  '/usr/local/lib/docker/cli-plugins',
];

/**
 * Installs what only the tests need: a browser, docker with `compose`, gVisor, systemd, and what the examples
 * need.
 */
export async function ensureTestTools() {
  if (!BROWSERS.some(findProgram)) await aptInstall(['chromium'], 'Chromium, for the tests');
  const hasCompose = PLUGIN_FOLDERS.some((folder) => existsSync(`${folder}/docker-compose`));
  const missing = [
    ...(findProgram('docker') === null ? ['docker-cli'] : []),
    ...(hasCompose ? [] : ['docker-compose']),
  ];
  const clients = ['curl', 'openssl', 'python3'].filter((name) => findProgram(name) === null);
  for (const name of ['websockets', 'nbformat']) {
    if (!existsSync(`/usr/lib/python3/dist-packages/${name}`)) clients.push(`python3-${name}`);
  }
  if (clients.length > 0) await aptInstall(clients, 'what clients in tests are run with');
  if (missing.length > 0) await aptInstall(missing, 'docker compose, for the tests');
  if (findProgram('systemd-analyze') === null) await installSystemd();
  if (process.env.CELLHOUSE_TEST_LONG === '1' && findProgram('systemd-nspawn') === null)
    await aptInstall(['systemd-container'], 'systemd-nspawn, to boot a machine with the service');
  await ensureRunsc();
}

/** On a machine with another init, apt could replace its login manager. So it is installed only where nobody logs in. */
async function installSystemd() {
  const isContainer = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'].some(
    existsSync,
  );
  if (process.getuid() !== 0 || !(isContainer || process.env.CI))
    throw new SetupError(
      'The tests need systemd-analyze, which is in the package systemd of Debian, and do not install it on a machine with another init. Install the package, or run the tests as root in a container or with CI=1.',
    );
  await aptInstall(['systemd'], 'systemd, to check the units of the service');
}
