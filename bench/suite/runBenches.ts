import { inspect } from 'node:util';
import type { Options } from './options.ts';
import { type ReportedBench, reportBench, reportFailure } from './report.ts';

const MS_PER_S = 1_000;

/** Runs the benches one after the other. One that throws is reported as failed; the others keep their results. */
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
      say(`${name} failed: ${inspect(error)}`);
      reported.push(reportFailure(name, seconds(), reasonOf(error)));
    }
  }
  return reported;
}

/** The messages of an error and its causes. The stack trace is printed when it occurs. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} ${reasonOf(error.cause)}`;
}
