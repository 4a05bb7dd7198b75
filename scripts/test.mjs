/**
 * `npm test`: does the set-up of `npm start`, installs what only tests need, then runs every check and test. With
 * `--long` it also runs what test/extent.ts reserves for `npm run test:long`. It continues after a failure, and repeats
 * the output of the failed parts at the end.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { pruneImages } from './setup/pruneImages.mjs';
import { setUp } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';
import { ensureTestTools } from './setup/testTools.mjs';

/** How much of a failed part's output is repeated: enough to see why it failed. */
const MAX_REPEATED_CHARS = 20_000;

await runScript(async () => {
  const { workerImage } = await setUp();
  await ensureTestTools();
  await pruneImages();
  process.env.WORKER_IMAGE = workerImage;
  const words = process.argv.slice(2);
  const more = words.filter((word) => word !== '--long');
  if (more.length < words.length) process.env.CELLHOUSE_TEST_LONG = '1';
  const failures = [];
  const check = async (title, script, ...args) => {
    const { code, errors } = await runPart(script, ...args);
    if (code !== 0)
      failures.push(`${title} failed (exit ${code}). The end of its output:\n\n${errors}`);
  };
  await check('npm run check', 'scripts/check.mjs');
  for (const part of ['int', 'e2e']) {
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', `${part}*`];
    await check(`npm run test:${part}`, ...vitest, ...more);
  }
  if (failures.length > 0) throw new SetupError(failures.join('\n\n'));
});

/**
 * Runs a Node script that shares our stdout.
 * @returns {Promise<{ code: number | string, errors: string }>} its exit code or signal, and the end of its stderr
 */
function runPart(script, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(projectRoot, script), ...args], {
      cwd: projectRoot,
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors = (errors + text).slice(-MAX_REPEATED_CHARS);
      process.stderr.write(text);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', errors }));
  });
}
