/**
 * `npm test`: the set-up of `npm start` and what only tests need, then every check and every test; with `--long` also what
 * test/extent.ts keeps for `npm run test:long`. Goes on after a failed check, and repeats at the end what the parts that
 * failed said.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from './setup/projectRoot.mjs';
import { pruneImages } from './setup/pruneImages.mjs';
import { setUp } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';
import { ensureTestTools } from './setup/testTools.mjs';

/** Enough of what a failed part said to see why, when the beginning of a long output is lost. */
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
    if (code !== 0) failures.push(`${title} failed (exit ${code}); it said last:\n\n${errors}`);
  };
  await check('npm run check', 'scripts/check.mjs');
  for (const part of ['int', 'e2e']) {
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', `${part}*`];
    await check(`npm run test:${part}`, ...vitest, ...more);
  }
  if (failures.length > 0) throw new SetupError(failures.join('\n\n'));
});

/**
 * Runs a script of Node's with our own output.
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
