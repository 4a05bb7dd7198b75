/**
 * `npm start`: installs and builds whatever is missing, then serves. The gateway runs in this same process, so that
 * signals reach it directly and no other process can be left over.
 */
import { fileURLToPath } from 'node:url';
import { setUpToServe } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';

await runScript(async () => {
  const { workerImage } = await setUpToServe();
  process.env.WORKER_IMAGE = workerImage;
  process.argv = [
    process.argv[0],
    fileURLToPath(new URL('../dist/cli.js', import.meta.url)),
    'serve',
  ];
  await import('../dist/cli.js');
});
