/** The last line of .ci/run must never report a better result than the run had. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

interface Report {
  readonly passed: number;
  readonly failed?: number;
  readonly skipped?: number;
  /** How many test files could not be loaded. */
  readonly broken?: number;
}

function count(
  reports: readonly Report[],
  exitCode: number,
): { line: string; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-count-'));
  try {
    for (const [index, { passed, failed = 0, skipped = 0, broken = 0 }] of reports.entries()) {
      const report = {
        numPassedTests: passed,
        numFailedTests: failed,
        numPendingTests: skipped,
        numTodoTests: 0,
        testResults: Array.from({ length: broken }, () => ({
          status: 'failed',
          assertionResults: [],
        })),
      };
      writeFileSync(join(folder, `${index}.json`), JSON.stringify(report));
    }
    const args = ['.ci/count.mjs', folder, String(exitCode)];
    const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return { line: stdout.trim(), status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it.each<[string, Report[], number, string, number]>([
  [
    'sums all runs',
    [{ passed: 3 }, { passed: 4, skipped: 1 }],
    0,
    '7 passed, 0 failed, 1 skipped',
    0,
  ],
  ['counts failed tests', [{ passed: 3, failed: 2 }], 1, '3 passed, 2 failed', 1],
  ['counts files that cannot be loaded', [{ passed: 3, broken: 1 }], 1, '3 passed, 1 failed', 1],
  ['counts a failed check', [{ passed: 3 }], 1, '3 passed, 1 failed', 1],
  ['counts a failed set-up', [], 1, '0 passed, 1 failed', 1],
  ['takes no tests for a failure', [], 0, '0 passed, 1 failed', 1],
])('%s', (_, reports, exitCode, line, status) => {
  expect(count(reports, exitCode)).toEqual({ line, status });
});
