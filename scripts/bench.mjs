/** `npm run bench -- <name>`: compiles bench/ and runs one of its files, with everything that `npm start` needs there. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileProgram } from './setup/compileProgram.mjs';
import { projectRoot } from './setup/projectRoot.mjs';
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
  const script = join(await compileProgram('bench'), 'bench', `${name}.js`);
  process.env.WORKER_IMAGE = workerImage;
  process.argv = [process.argv[0], script, ...args];
  process.chdir(projectRoot);
  await import(script);
});
