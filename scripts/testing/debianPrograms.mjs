import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../setup/findProgram.mjs';
import { projectRoot } from '../setup/projectRoot.mjs';
import { runCommand } from '../setup/runCommand.mjs';
import { SetupError } from '../setup/setupError.mjs';
import { detail, step } from '../setup/steps.mjs';

const FOLDER = join(projectRoot, 'node_modules/.debian');

/**
 * Unpacks Debian packages beside the npm packages, without installing them: an installed server would be started, and
 * would take its usual port on a developer's machine.
 * @param {string} name what the packages are together, e.g. `postgresql`
 * @param {readonly string[]} packages with everything that they need and the machine may not have
 * @returns {Promise<string>} the folder that has `usr`, `etc` and so on
 * @throws SetupError if the packages cannot be downloaded
 */
export async function ensureUnpacked(name, packages) {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return folder;
  if (findProgram('apt-get') === null || findProgram('dpkg-deb') === null)
    throw new SetupError(
      `The tests need ${packages.join(', ')} of Debian, and this machine has no apt-get.`,
    );
  await step(`Unpacking ${name} of Debian, for the tests`, async () => {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(join(unfinished, 'root'), { recursive: true });
    detail(`apt-get download ${packages.join(' ')}`);
    if (process.getuid() === 0) await runCommand('apt-get', ['update', '-qq']);
    await runCommand('apt-get', ['download', '-qq', ...packages], {
      cwd: unfinished,
      advice: 'Run apt-get update as root, then start again.',
    });
    for (const file of readdirSync(unfinished).filter((entry) => entry.endsWith('.deb')))
      await runCommand('dpkg-deb', ['--extract', join(unfinished, file), join(unfinished, 'root')]);
    renameSync(join(unfinished, 'root'), folder);
    rmSync(unfinished, { recursive: true });
  });
  return folder;
}
