/** The results of a former run, for a run to be judged against. */
import { readFileSync } from 'node:fs';
import { UsageError } from './options.ts';
import type { Report } from './report.ts';

/**
 * What `--json` has written.
 * @throws UsageError if it is none, or of another machine: ratios are steadier than times, and still a machine's own
 */
export function readFormer(file: string, machine: string): Report {
  const former = parse(file);
  if (former.provenance?.machine === undefined || !Array.isArray(former.benches))
    throw new UsageError(`${file} holds no results: npm run bench -- --json ${file} writes them.`);
  if (former.provenance.machine !== machine) {
    throw new UsageError(
      `${file} was made on another machine (${former.provenance.machine}; this is ${machine}): make it anew here.`,
    );
  }
  return former as Report;
}

function parse(file: string): Partial<Report> {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) ?? {}) as Partial<Report>;
  } catch (cause: unknown) {
    throw new UsageError(`${file} cannot be read: ${String(cause)}`, { cause });
  }
}
