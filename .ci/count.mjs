/**
 * Sums the JSON reports of all of vitest's runs in a folder and prints one line, `N passed, N failed`. What failed
 * without being a test (the set-up, a check, a file that cannot be loaded) counts as one failure, so that the line is
 * never better than the run.
 *
 * `node count.mjs <folder> <exit code of the test command>`
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder = '', exitCode] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;

for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests + brokenFiles(report);
  skipped += report.numPendingTests + report.numTodoTests;
}
if (exitCode !== '0' && failed === 0) failed = 1;
if (passed === 0 && failed === 0) failed = 1;

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;

/** Files that failed although none of their tests did. */
function brokenFiles(report) {
  return report.testResults.filter(
    (file) =>
      file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
}
