/** Reads the results of a former run, to compare a run with. */
import { readFileSync } from 'node:fs';
import { UsageError } from './options.ts';
import type { Report } from './report.ts';

/**
 * Reads a file that `--json` has written.
 * @throws UsageError if it is not such a file, or is from another machine: ratios vary less than times, but still by
 * machine
 */
export function readFormer(file: string, machine: string): Report {
  const former = parse(file);
  if (former.provenance?.machine === undefined || !Array.isArray(former.benches))
    throw new UsageError(`${file} holds no results: npm run bench -- --json ${file} writes them.`);
  if (former.provenance.machine !== machine) {
    throw new UsageError(
      `${file} is from another machine (${former.provenance.machine}; this is ${machine}). Make a new one here.`,
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
