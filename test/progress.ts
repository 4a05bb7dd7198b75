/**
 * A reporter that says how far a run is, so that minutes in which no file ends do not look like a hang. It also records
 * how long each file took, for `.ci/count.mjs`.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

/** Long enough to keep a log short, and short enough for somebody who watches. */
const TELL_MS = 30_000;
/** A line names this many of the running files: those that have run for longest. */
const NAMED_FILES = 3;

export interface ProgressOptions {
  /** Files of test/e2e that are left out, because nothing that they cover has changed. */
  readonly unchanged: readonly string[];
  /** The path to which the durations of all files are written, as JSON. */
  readonly timesFile?: string;
}

export function createProgress({ unchanged, timesFile }: ProgressOptions): Reporter {
  const startedAt = Number(process.env.CELLHOUSE_TEST_STARTED_AT ?? Date.now());
  const begunAt = Date.now();
  const running = new Map<string, number>();
  const files: { file: string; project: string; ms: number }[] = [];
  let total = 0;
  let timer: NodeJS.Timeout | undefined;

  const tell = () => {
    const names = [...running].slice(0, NAMED_FILES);
    const ages = names.map(([name, since]) => `${name} (${durationOf(Date.now() - since)})`);
    const now = ages.length > 0 ? `; now ${ages.join(', ')}` : '';
    console.log(
      `  ${files.length} of ${total} files after ${durationOf(Date.now() - startedAt)}${now}`,
    );
  };
  return {
    onTestRunStart: (specifications) => {
      total = specifications.length;
      if (unchanged.length > 0 && specifications.some(({ project }) => project.name === 'e2e'))
        console.log(
          `Left out, because nothing that they cover has changed since they passed: ${unchanged.join(', ')}`,
        );
      timer = setInterval(tell, TELL_MS);
    },
    onTestModuleQueued: (testModule) => void running.set(testModule.relativeModuleId, Date.now()),
    onTestModuleEnd: (testModule) => {
      const name = testModule.relativeModuleId;
      // The duration of a file includes hooks and imports.
      const ms = Date.now() - (running.get(name) ?? Date.now());
      running.delete(name);
      files.push({ file: name, project: testModule.project.name, ms });
    },
    onTestRunEnd: () => {
      clearInterval(timer);
      tell();
      const times = { ms: Date.now() - begunAt, files };
      if (timesFile !== undefined) writeFileSync(timesFile, JSON.stringify(times));
    },
  };
}

function durationOf(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
