import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../setup/findProgram.mjs';
import { projectRoot } from '../setup/projectRoot.mjs';
import { runCommand } from '../setup/runCommand.mjs';
import { SetupError } from '../setup/setupError.mjs';
import { detail, step } from '../setup/steps.mjs';

const FOLDER = join(projectRoot, 'node_modules/.debian');

/** The Debian packages of the programs that tests run, and packages that these need and the machine may lack. */
const PACKAGES = {
  postgresql: ['postgresql-17', 'postgresql-client-17', 'libpq5'],
  prometheus: ['prometheus'],
  promtool: ['promtool'],
  proxies: ['nginx', 'nginx-common', 'caddy'],
};
/** The programs that only `npm run test:long` runs. */
const FOR_LONG = ['postgresql', 'prometheus'];

/** Unpacks all programs that the tests of this run need. */
export async function ensureDebianPrograms() {
  const isLong = process.env.CELLHOUSE_TEST_LONG === '1';
  for (const name of Object.keys(PACKAGES))
    if (isLong || !FOR_LONG.includes(name)) await ensureUnpacked(name);
}

/** The unpacking that this process has begun, by name: two `apt-get update` at a time would disturb each other. */
const unpacked = new Map();

/**
 * Unpacks Debian packages beside the npm packages, without installing them: an installed server would be started, and
 * would take its usual port on a developer's machine.
 * @param {keyof typeof PACKAGES} name
 * @returns {Promise<string>} the folder that has `usr`, `etc` and so on
 * @throws SetupError if the packages cannot be downloaded
 */
export function ensureUnpacked(name) {
  if (!unpacked.has(name)) unpacked.set(name, unpack(name));
  return unpacked.get(name);
}

async function unpack(name) {
  const packages = PACKAGES[name];
  // Each list of packages has a folder of its own.
  const list = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 12);
  const folder = join(FOLDER, `${name}-${list}`);
  if (existsSync(folder)) return folder;
  if (findProgram('apt-get') === null || findProgram('dpkg-deb') === null)
    throw new SetupError(
      `The tests need ${packages.join(', ')} of Debian, and this machine has no apt-get.`,
    );
  await step(`Unpacking ${name} of Debian, for the tests`, async () => {
    mkdirSync(FOLDER, { recursive: true });
    const unfinished = mkdtempSync(`${folder}.unfinished-`);
    try {
      const root = join(unfinished, 'root');
      detail(`apt-get download ${packages.join(' ')}`);
      const advice = 'As root, run `apt-get update` until it works, then start again.';
      if (process.getuid() === 0) await runCommand('apt-get', ['update', '-qq'], { advice });
      await runCommand('apt-get', ['download', '-qq', ...packages], { cwd: unfinished, advice });
      for (const file of readdirSync(unfinished).filter((entry) => entry.endsWith('.deb')))
        await runCommand('dpkg-deb', ['--extract', join(unfinished, file), root]);
      // The folder is complete or absent, even if this process is interrupted.
      publish(root, folder);
    } finally {
      rmSync(unfinished, { recursive: true });
    }
  });
  return folder;
}

/** Another process may have unpacked the same packages meanwhile. Then its folder stays. */
function publish(root, folder) {
  try {
    renameSync(root, folder);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
}
