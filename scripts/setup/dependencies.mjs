import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './projectRoot.mjs';
import { runCommand } from './runCommand.mjs';
import { step } from './steps.mjs';

/** Runs `npm ci`, unless node_modules already matches package-lock.json. */
export async function ensureDependencies() {
  if (areInstalled()) return;
  await step('Installing npm packages (npm ci)', () =>
    // No package that we use needs its install script, and npm may be configured not to run them anyway.
    runCommand('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: projectRoot,
      advice: 'Is the npm registry reachable from here?',
    }),
  );
}

/** Compares with node_modules/.package-lock.json, in which npm finally records what it has installed. */
function areInstalled() {
  const installedFile = join(projectRoot, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'));
  return Object.entries(packages).every(
    ([path, wanted]) =>
      path === '' ||
      installed[path]?.integrity === wanted.integrity ||
      // An optional package may be absent, for example if it is for another kind of machine.
      (installed[path] === undefined && (wanted.optional || wanted.devOptional || wanted.peer)),
  );
}
