/**
 * Which files of `COVERED` (test/extent.ts) need not run: they have passed on this machine, and neither they nor what
 * they cover has changed since. What has passed is remembered outside the clone, because every clone of one commit has
 * the same files.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Reporter } from 'vitest/node';
import { hashFiles } from '../scripts/setup/hashFiles.mjs';
import { COVERED } from './extent.ts';

const ROOT = new URL('../', import.meta.url).pathname;
/** Of Python's tools. */
const CACHES = /(^|\/)(__pycache__|\.\w+_cache)\//;
const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

/** Test files, and for each the file that exists if it has passed in this state. The name is a hash of the state. */
const RECORDS = new Map(
  Object.entries(COVERED).map(([name, covers]) => {
    const file = `test/e2e/${name}`;
    // What passes under one version of Node may fail under another.
    const options = { salt: process.version, skip: (path: string) => CACHES.test(path) };
    const state = hashFiles(ROOT, [file, ...covers], options);
    return [file, join(CACHE, 'cellhouse/passed', state)];
  }),
);

/** The paths of test files that need not run. */
export function unchangedFiles(): string[] {
  return [...RECORDS].filter(([, record]) => existsSync(record)).map(([file]) => file);
}

/** A reporter that remembers which of these files have passed as a whole. */
export const passRecorder: Reporter = {
  onTestModuleEnd: (testModule) => {
    const record = RECORDS.get(testModule.relativeModuleId);
    const tests = [...testModule.children.allTests()];
    const hasPassed = tests.length > 0 && tests.every((test) => test.result().state === 'passed');
    if (record === undefined || !testModule.ok() || !hasPassed) return;
    mkdirSync(dirname(record), { recursive: true });
    writeFileSync(record, '');
  },
};
