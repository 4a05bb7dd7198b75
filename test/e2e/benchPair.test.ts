/** `npm run bench -- pair` compares two versions. No figure is judged here, since figures depend on the machine. */
import { expect, it } from 'vitest';
import { runBench } from '../support/runBench.ts';

/** The number of turns is fixed: they take a minute on an idle machine, and longer on a busy one. */
const LIMIT_MS = 900_000;

it(
  'compares two versions by the duration of each call, and by the CPU time of each part',
  async () => {
    const { code, printed, report } = await runBench('pair', '--short', '--base', 'HEAD');
    expect(code, printed).toBe(0);
    const comparisons = report.benches.flatMap((bench) => bench.comparisons);
    expect(comparisons.map(({ name }) => name)).toContain('calls when warm: CPU of the kernel');
    for (const { name, base, measured } of comparisons) {
      // A part that has nothing to do in a phase, such as PostgreSQL while files are sent, uses no CPU time.
      if (!name.includes(': CPU of ')) expect(base.p50, name).toBeGreaterThan(0);
      expect(measured.n).toBe(base.n);
    }
  },
  LIMIT_MS,
);
