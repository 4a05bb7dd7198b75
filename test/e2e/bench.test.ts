/**
 * `npm run bench` runs, reports and ends as bench/README.md says. No figure is judged here, since figures depend on the
 * machine. test/unit/benchJudge.test.ts tests when the guard calls a figure far worse.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Report } from '../../bench/suite/report.ts';
import { runBench } from '../support/runBench.ts';

/** The number of turns is fixed: they take a minute on an idle machine, and longer on a busy one. */
const LIMIT_MS = 900_000;
/** A factor far greater than the difference between any two runs. */
const TIMES = 1_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ch-former-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a report in which `roundtrip` was this many times better. @returns the path of its file */
function former(report: Report, timesBetter: number): string {
  const file = join(folder, `${timesBetter}.json`);
  const benches = report.benches
    .filter(({ name }) => name === 'roundtrip')
    .map((bench) => ({
      ...bench,
      comparisons: bench.comparisons.map((comparison) => ({
        ...comparison,
        ratio: { ...comparison.ratio, p50: comparison.ratio.p50 / timesBetter },
      })),
    }));
  writeFileSync(file, JSON.stringify({ ...report, benches }));
  return file;
}

it(
  'npm run bench measures in turns, and reports what is far worse than in a former run',
  async () => {
    const first = await runBench('roundtrip', 'restart', '--short');
    expect(first.code, first.printed).toBe(0);
    const { benches } = first.report;
    expect(benches.map(({ name }) => name)).toEqual(['roundtrip', 'restart']);
    for (const { base, measured } of benches.flatMap(({ comparisons }) => comparisons)) {
      expect(base.n).toBeGreaterThan(10);
      expect(measured.n).toBe(base.n);
    }

    const against = (file: string) => runBench('roundtrip', '--short', '--against', file);
    const worse = await against(former(first.report, TIMES));
    expect(worse.code, worse.printed).toBe(1);
    expect(worse.printed).toMatch(/against .*: roundtrip: .* times worse than/);
    const better = await against(former(first.report, 1 / TIMES));
    expect(better.code, better.printed).toBe(0);
    expect(better.printed).toMatch(/against .*: nothing is far worse/);
  },
  LIMIT_MS,
);
