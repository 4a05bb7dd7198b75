/** `npm run bench -- <name>`: compiles bench/ and runs one of its files, with everything that `npm start` needs there. */
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { runCommand } from './setup/runCommand.mjs';
import { setUp } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

await runScript(async () => {
  const names = readdirSync(join(projectRoot, 'bench'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length));
  const [name = 'execute', ...args] = process.argv.slice(2);
  if (!names.includes(name)) {
    throw new SetupError(`There is no benchmark ${name}. There are: ${names.join(', ')}.`);
  }
  const { workerImage } = await setUp();
  const script = join(await compile(), 'bench', `${name}.js`);
  process.env.WORKER_IMAGE = workerImage;
  process.argv = [process.argv[0], script, ...args];
  process.chdir(projectRoot);
  await import(script);
});

/**
 * Node 20 runs no TypeScript. Below node_modules, where packages are found and git does not look. The gateway that is
 * measured is the built program itself, found beside the compiled files as it is beside the sources.
 */
async function compile() {
  const folder = join(projectRoot, 'node_modules/.cache/cellhouse-bench');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  symlinkSync(join(projectRoot, 'dist'), join(folder, 'dist'));
  await runCommand(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.bench.json'],
    { cwd: projectRoot },
  );
  return folder;
}
