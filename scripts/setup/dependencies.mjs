import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './projectRoot.mjs';
import { runCommand } from './runCommand.mjs';
import { step } from './steps.mjs';

/** `npm ci`, unless node_modules is what package-lock.json says. */
export async function ensureDependencies() {
  if (areInstalled()) return;
  await step('Installing npm packages (npm ci)', () =>
    // No package we use needs its install script, and npm may be told not to run them anyway.
    runCommand('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: projectRoot,
      advice: 'Is the npm registry reachable from here?',
    }),
  );
}

/** npm writes what it installed into node_modules/.package-lock.json, last of all. */
function areInstalled() {
  const installedFile = join(projectRoot, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'));
  return Object.entries(packages).every(
    ([path, wanted]) =>
      path === '' ||
      installed[path]?.integrity === wanted.integrity ||
      // Meant for another kind of machine, or for nobody here.
      (installed[path] === undefined && (wanted.optional || wanted.devOptional || wanted.peer)),
  );
}
