/** What .ci/run prints at its end. Its last line must never report a better result than the run had. */
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
  others: Readonly<Record<string, string>> = {},
): { printed: string; status: number | null } {
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
    for (const [name, text] of Object.entries(others)) writeFileSync(join(folder, name), text);
    const args = ['.ci/count.mjs', folder, String(exitCode)];
    const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return { printed: stdout.trim(), status };
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
  ['counts a run without tests as failed', [], 0, '0 passed, 1 failed', 1],
])('%s', (_, reports, exitCode, printed, status) => {
  expect(count(reports, exitCode)).toEqual({ printed, status });
});

it('says where the time went, before the count', () => {
  const files = [
    { file: 'test/int/quick.test.ts', project: 'int', ms: 200 },
    { file: 'test/int/slow.test.ts', project: 'int', ms: 61_000 },
  ];
  const report =
    'Slowest test durations\n---\n12.345s     test_slow (tests.test_it.It.test_slow)\n';
  const { printed } = count([{ passed: 2 }], 0, {
    '7.times': JSON.stringify({ ms: 62_000, files }),
    'agent.txt': report,
  });
  expect(printed).toMatch(/^int +2 +61\.2 s$/m);
  expect(printed).toMatch(
    / 61\.0 s {2}test\/int\/slow\.test\.ts\n +0\.2 s {2}test\/int\/quick\.test\.ts\n/,
  );
  expect(printed).toContain('12.345s     test_slow (tests.test_it.It.test_slow)\n');
  expect(printed).toMatch(/\n2 passed, 0 failed$/);
});
