/** Runs `npm run bench` as a user would. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../bench/suite/report.ts';

const SCRIPT = new URL('../../scripts/bench.mjs', import.meta.url).pathname;

export interface BenchOutcome {
  readonly code: number | null;
  readonly printed: string;
  readonly report: Report;
}

/** @throws Error with the printed text if the bench wrote no results */
export async function runBench(...words: string[]): Promise<BenchOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'ch-bench-'));
  const json = join(folder, 'results.json');
  const child = spawn(process.execPath, [SCRIPT, ...words, '--json', json], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, printed, report: JSON.parse(readFileSync(json, 'utf8')) as Report };
  } catch (cause: unknown) {
    throw new Error(printed, { cause });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
