/** `npm run bench`: does the set-up of `npm start`, then compiles bench/ and runs it. */
import { join } from 'node:path';
import { compileProgram } from './setup/compileProgram.mjs';
import { projectRoot } from './setup/projectRoot.mjs';
import { setUp } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(async () => {
  const { workerImage } = await setUp();
  const script = join(await compileProgram('bench'), 'bench/suite/main.js');
  process.env.WORKER_IMAGE = workerImage;
  process.argv = [process.argv[0], script, ...process.argv.slice(2)];
  process.chdir(projectRoot);
  await import(script);
});
