/**
 * Sums the reports of a test run in a folder. Prints where its time went, and as the last line how many tests passed and
 * failed: `N passed, N failed`. What failed without being a test (the set-up, a check, a file that cannot be loaded)
 * counts as one failure, so that the line is never better than the run.
 *
 * `node count.mjs <folder> <exit code of the test command>`
 *
 * The folder has, of each run of vitest, `<pid>.json` (vitest's own report) and `<pid>.times` (test/progress.ts), and
 * `agent.txt`, what unittest printed about the agent's tests.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SLOWEST_FILES = 30;

const [folder = '', exitCode] = process.argv.slice(2);
const names = readdirSync(folder).sort();
const read = (name) => readFileSync(join(folder, name), 'utf8');
const parsed = (ending) =>
  names.filter((name) => name.endsWith(ending)).map((name) => JSON.parse(read(name)));

printTimes(parsed('.times'));
if (existsSync(join(folder, 'agent.txt'))) printAgent(read('agent.txt'));
printCount(parsed('.json'));

/** The sum of each part, and the slowest files. Files run side by side, so a sum is more than the part took. */
function printTimes(runs) {
  const files = runs.flatMap((run) => run.files);
  if (files.length === 0) return;
  console.log('\nPart        files    sum of files');
  for (const project of new Set(files.map((file) => file.project))) {
    const own = files.filter((file) => file.project === project);
    const sum = own.reduce((ms, file) => ms + file.ms, 0);
    console.log(`${project.padEnd(10)} ${String(own.length).padStart(6)} ${seconds(sum)}`);
  }
  console.log(
    `All runs of vitest took ${seconds(runs.reduce((ms, run) => ms + run.ms, 0)).trim()}.`,
  );
  console.log(`\nThe ${SLOWEST_FILES} slowest files`);
  const slowest = files.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST_FILES);
  for (const { file, ms } of slowest) console.log(`${seconds(ms)}  ${file}`);
}

/** What `unittest --durations` printed: lines such as `1.234s     test_name (tests.test_file.Class.test_name)`. */
function printAgent(report) {
  const slowest = report.match(/^\d+\.\d+s +.+$/gm) ?? [];
  if (slowest.length === 0) return;
  console.log('\nThe slowest tests of the agent');
  for (const line of slowest.slice(0, SLOWEST_FILES)) console.log(line);
}

function printCount(reports) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const report of reports) {
    passed += report.numPassedTests;
    failed += report.numFailedTests + brokenFiles(report);
    skipped += report.numPendingTests + report.numTodoTests;
  }
  if (exitCode !== '0' && failed === 0) failed = 1;
  if (passed === 0 && failed === 0) failed = 1;
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** Files that failed although none of their tests did. */
function brokenFiles(report) {
  return report.testResults.filter(
    (file) =>
      file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1).padStart(9)} s`;
}
