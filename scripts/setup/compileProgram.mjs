import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './projectRoot.mjs';
import { runCommand } from './runCommand.mjs';

/**
 * Node 20 runs no TypeScript: compiles `tsconfig.<name>.json` below node_modules, where packages are found and git does not
 * look. The gateway that the program runs is the built one itself, found beside the compiled files as it is beside the
 * sources; so are the migrations.
 * @param {string} name @returns {Promise<string>} the folder that stands for the project's
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
