/** `npm run image-page`: does the set-up of `npm start`, then lists the image's content in docs/run/environments.md. */
import { spawnSync } from 'node:child_process';
import { projectRoot } from './setup/projectRoot.mjs';
import { setUp } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';

await runScript(async () => {
  const { workerImage } = await setUp();
  const args = ['run', '--update', '--project', 'e2e', 'test/e2e/imagePage.test.ts'];
  const { status } = spawnSync('node_modules/.bin/vitest', args, {
    cwd: projectRoot,
    stdio: 'inherit',
    env: { ...process.env, WORKER_IMAGE: workerImage },
  });
  if (status !== 0) throw new SetupError('The page was not made.');
});
