/**
 * `npm test`: the set-up of `npm start` and what only tests need, then every check and every test. Goes on after a failed
 * check, and ends with vitest's report on the tests with a database, an engine and a browser.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { setUp } from './setup/setUp.mjs';
import { runScript } from './setup/setupError.mjs';
import { ensureTestTools } from './setup/testTools.mjs';

await runScript(async () => {
  const { workerImage } = await setUp();
  await ensureTestTools();
  process.env.WORKER_IMAGE = workerImage;
  const isChecked = await succeeds('scripts/check.mjs');
  // One after the other: what builds images and what measures times would be in each other's way.
  let isTested = true;
  for (const project of ['int', 'e2e']) {
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', project];
    isTested = (await succeeds(...vitest, ...process.argv.slice(2))) && isTested;
  }
  if (!isChecked) console.error('\nA check failed; see above, before the tests.');
  process.exitCode = isChecked && isTested ? 0 : 1;
});

/** Runs a script of Node's with our own output. */
function succeeds(script, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(projectRoot, script), ...args], {
      cwd: projectRoot,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code === 0));
  });
}
