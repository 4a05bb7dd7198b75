import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './projectRoot.mjs';
import { runCommand } from './runCommand.mjs';

/**
 * Compiles the program of `tsconfig.<name>.json`, because Node 20 cannot run TypeScript. The output is below
 * node_modules, where packages are found and git ignores it. Links there lead to `dist` (the built gateway) and
 * `migrations`, so that the program finds them at the same relative paths as from the sources.
 * @param {string} name @returns {Promise<string>} the folder that takes the place of the project's root
 */
export async function compileProgram(name) {
  const folder = join(projectRoot, `node_modules/.cache/cellhouse-${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  for (const found of ['dist', 'migrations'])
    symlinkSync(join(projectRoot, found), join(folder, found));
  await runCommand(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', `tsconfig.${name}.json`],
    { cwd: projectRoot },
  );
  return folder;
}
