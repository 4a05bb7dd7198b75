/**
 * `npm start`: makes whatever is missing, then serves. The gateway runs in this very process, so that a signal to it
 * means it, and no other process is left.
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
