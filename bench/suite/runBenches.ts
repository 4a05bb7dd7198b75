import type { Options } from './options.ts';
import { type ReportedBench, reportBench, reportFailure } from './report.ts';

const MS_PER_S = 1_000;

/** One after the other. One that throws is reported as failed, and costs no other its results. */
export async function runBenches(
  { benches, isShort, args }: Pick<Options, 'benches' | 'isShort' | 'args'>,
  say: (line: string) => void,
): Promise<ReportedBench[]> {
  const reported: ReportedBench[] = [];
  for (const bench of benches) {
    const { name, about } = bench;
    say(`${name}: ${about}`);
    const startedAt = performance.now();
    const seconds = () => (performance.now() - startedAt) / MS_PER_S;
    try {
      const result = await bench.run({ isShort, args, say: (line) => say(`${name}: ${line}`) });
      reported.push(reportBench(name, seconds(), result));
    } catch (error: unknown) {
      const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
      say(`${name} failed: ${failure}`);
      reported.push(reportFailure(name, seconds(), failure));
    }
  }
  return reported;
}
