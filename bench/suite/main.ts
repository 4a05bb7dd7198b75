/** `npm run bench [-- NAME...] [--short] [--json FILE]`. Ends with 1 if a bench failed, with 2 if the words are wrong. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { BENCHES } from '../benches.ts';
import { formatReport } from './formatReport.ts';
import { type Options, parseOptions, UsageError } from './options.ts';
import { findProvenance } from './provenance.ts';
import type { Report } from './report.ts';
import { runBenches } from './runBenches.ts';

const say = (line: string) => console.log(line);

try {
  await main(parseOptions(process.argv.slice(2), BENCHES));
} catch (error: unknown) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function main(options: Options): Promise<void> {
  const provenance = findProvenance();
  // A file that cannot be written is better known now than after a quarter of an hour. What is in it stays until then.
  if (options.json !== null) closeSync(openSync(options.json, 'a'));
  const benches = await runBenches(options, say);
  const report: Report = { provenance, isShort: options.isShort, benches };
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  say(`\n${formatReport(report)}`);
  if (benches.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}
