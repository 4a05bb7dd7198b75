/**
 * `npm run bench [-- NAME...] [--short] [--json FILE] [--against FILE]`. Exits with 1 if a bench failed or something is
 * far worse than in the former run, and with 2 if the arguments are wrong.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { BENCHES } from '../benches.ts';
import { judge, readFormer } from './guard.ts';
import { type Options, parseOptions, UsageError } from './options.ts';
import { findProvenance } from './provenance.ts';
import { formatReport, type Report, runBenches } from './report.ts';

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
  // Both files are checked now, not after a quarter of an hour. They may be the same file.
  const former = options.against === null ? null : readFormer(options.against, provenance.machine);
  // Opened for appending, so that its content stays until the end of the run.
  if (options.json !== null) closeSync(openSync(options.json, 'a'));
  const benches = await runBenches(options, say);
  const report: Report = { provenance, isShort: options.isShort, benches };
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  say(`\n${formatReport(report)}`);
  const complaints = former === null ? [] : judge(former, report);
  for (const complaint of complaints) say(`against ${options.against}: ${complaint}`);
  if (complaints.length > 0) process.exitCode = 1;
  else if (former !== null) say(`against ${options.against}: nothing is far worse`);
  if (benches.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}
