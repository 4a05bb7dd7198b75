/**
 * The short form of `npm run bench` beside the committed one: nothing became far slower than what it is compared with. What
 * "far" is and that it is seen is tested in test/unit/benchJudge.test.ts; a new baseline is made as bench/README.md says.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { judge } from '../../bench/suite/judge.ts';
import type { Report } from '../../bench/suite/report.ts';
import { runBench } from '../support/runBench.ts';

const BASELINE = new URL('../../bench/baseline.json', import.meta.url);
/** It takes two minutes; on a machine that is several times slower, ratios are as good. */
const LIMIT_MS = 600_000;

it(
  'no ratio is far worse than the committed one',
  async () => {
    const committed = JSON.parse(readFileSync(BASELINE, 'utf8')) as Report;
    const { code, printed, report } = await runBench('--short');
    expect(judge(committed, report), printed).toEqual([]);
    expect(code, printed).toBe(0);
  },
  LIMIT_MS,
);
