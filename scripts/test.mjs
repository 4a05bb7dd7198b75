/**
 * `npm test`: does the set-up of `npm start`, installs what only tests need, then runs every check and test. It
 * continues after a failure, and repeats the output of the failed parts at the end.
 *
 * With words, it runs only the test files whose paths contain one of them. With `--long` it also runs what
 * test/extent.ts reserves for `npm run test:long`, and a part of the tests under Node 24.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { projectRoot } from './setup/projectRoot.mjs';
import { setUpCode } from './setup/setUp.mjs';
import { runScript, SetupError } from './setup/setupError.mjs';
import { ensureNode24 } from './testing/node24.mjs';
import { prepareFor } from './testing/prepare.mjs';
import { matchingParts, refuseNoMatch, startVitest } from './testing/vitest.mjs';

/** How much of a failed part's output is repeated: enough to see why it failed. */
const MAX_REPEATED_CHARS = 20_000;
/** The tests that also run under Node 24: all unit tests, and those of sessions and of the door for MCP. */
const UNDER_NODE_24 = [
  ['unit', []],
  ['e2e', ['test/e2e/sessions.test.ts', 'test/e2e/mcp.test.ts']],
];
const MAX_SEED = 2 ** 31;

const words = process.argv.slice(2).filter((word) => word !== '--long');
const isLong = process.argv.includes('--long');
const failures = [];

await runScript(async () => {
  process.env.CELLHOUSE_TEST_STARTED_AT = String(Date.now());
  if (isLong) {
    process.env.CELLHOUSE_TEST_LONG = '1';
    process.env.SEED ??= String(randomInt(MAX_SEED));
    console.log(`Random tests begin with SEED=${process.env.SEED}.`);
  }
  await (words.length > 0 ? runMatching() : runAll());
  if (failures.length > 0) throw new SetupError(failures.join('\n\n'));
});

async function runAll() {
  // With this, vitest.config.ts leaves out test files that have passed and not changed since (test/unchanged.ts).
  process.env.CELLHOUSE_TEST_CHANGED = '1';
  await prepareFor(['int', 'e2e']);
  await report('npm run check', spawn(process.execPath, ['scripts/check.mjs'], inherited()));
  for (const part of ['int', 'e2e']) await runPart(part, []);
  if (!isLong) return;
  const node = await ensureNode24();
  for (const [part, files] of UNDER_NODE_24) await runPart(part, files, node);
}

async function runMatching() {
  await setUpCode();
  const parts = await matchingParts(words);
  if (parts.size === 0) refuseNoMatch(words);
  await prepareFor(parts.keys());
  for (const part of parts.keys()) await runPart(part, words);
}

async function runPart(part, args, node) {
  const title = `npm run test:${part}${node ? ' under Node 24' : ''}`;
  await report(title, startVitest(part, args, { node, ...inherited() }));
}

function inherited() {
  return { cwd: projectRoot, stdio: ['ignore', 'inherit', 'pipe'] };
}

/** Shows what the process prints, waits for its end, and notes a failure with the end of its stderr. */
async function report(title, child) {
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors = (errors + text).slice(-MAX_REPEATED_CHARS);
    process.stderr.write(text);
  });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve(exitCode ?? signal ?? 'unknown'));
  });
  if (code !== 0)
    failures.push(`${title} failed (exit ${code}). The end of its output:\n\n${errors}`);
}
