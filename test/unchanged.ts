/**
 * Decides which files of `COVERED` (test/extent.ts) need not run: they have passed on this machine, and neither they
 * nor the sources that they cover have changed since. The records of this are outside the clone, so that all clones on
 * the machine share them.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Reporter } from 'vitest/node';
import { hashFiles } from '../scripts/setup/hashFiles.mjs';
import { COVERED } from './extent.ts';

const ROOT = new URL('../', import.meta.url).pathname;
/** Paths of caches of Python's tools, which are not part of the sources. */
export const PYTHON_CACHE = /(^|\/)(__pycache__|\.mypy_cache|\.pytest_cache)(\/|$)/;
const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

const fileOf = (name: string) => `test/e2e/${name}`;

/**
 * The path of an empty file that records a pass. It exists if this test file has passed in its present state. Its name
 * is a hash of that state.
 */
function recordOf(file: string, covers: readonly string[]): string {
  // What passes under one version of Node may fail under another.
  const options = { salt: process.version, skip: (path: string) => PYTHON_CACHE.test(path) };
  return join(CACHE, 'cellhouse/passed', hashFiles(ROOT, [file, ...covers], options));
}

/** The paths of test files that need not run. */
export function unchangedFiles(): string[] {
  return Object.entries(COVERED)
    .map(([name, covers]) => [fileOf(name), covers] as const)
    .filter(([file, covers]) => existsSync(recordOf(file, covers)))
    .map(([file]) => file);
}

/** Records each of these files in which every test has passed, in the state that the file had when it was queued. */
export function createPassRecorder(): Reporter {
  const records = new Map<string, string>();
  return {
    onTestModuleQueued: ({ relativeModuleId: file }) => {
      const name = Object.keys(COVERED).find((each) => fileOf(each) === file);
      if (name !== undefined) records.set(file, recordOf(file, COVERED[name] ?? []));
    },
    onTestModuleEnd: (testModule) => {
      const record = records.get(testModule.relativeModuleId);
      const tests = [...testModule.children.allTests()];
      const hasPassed = tests.length > 0 && tests.every((test) => test.result().state === 'passed');
      if (record === undefined || !testModule.ok() || !hasPassed) return;
      mkdirSync(dirname(record), { recursive: true });
      writeFileSync(record, '');
    },
  };
}
