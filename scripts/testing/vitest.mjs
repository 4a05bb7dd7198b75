/** Shared by `npm test` and `npm run test:repeat`: which test files match, and how a part of them is run. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../setup/projectRoot.mjs';
import { runCommand } from '../setup/runCommand.mjs';
import { SetupError } from '../setup/setupError.mjs';

const VITEST = join(projectRoot, 'node_modules/vitest/vitest.mjs');

/** The parts of a test run, in their order. The names of a part's projects in vitest.config.ts begin with the part. */
export const PARTS = ['unit', 'int', 'e2e'];

/**
 * The parts that have files for these words, with the paths of these files.
 * @param {string[]} words parts of paths, and options of vitest
 * @returns {Promise<Map<string, string[]>>}
 */
export async function matchingParts(words) {
  const folder = mkdtempSync(join(tmpdir(), 'cellhouse-list-'));
  try {
    const list = join(folder, 'list.json');
    const args = [VITEST, 'list', '--filesOnly', `--json=${list}`, ...words];
    await runCommand(process.execPath, args, { cwd: projectRoot });
    const files = JSON.parse(readFileSync(list, 'utf8'));
    const filesOf = (part) =>
      files.filter(({ projectName }) => projectName.startsWith(part)).map(({ file }) => file);
    return new Map(PARTS.map((part) => [part, filesOf(part)]).filter(([, own]) => own.length > 0));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @throws SetupError that says how to find files */
export function refuseNoMatch(words) {
  throw new SetupError(
    `No test file matches ${words.join(' ')}. A word is a part of a path, such as int/sessions.` +
      ' `npm run test:long` also has the files that `npm test` leaves out (test/extent.ts).',
  );
}

/**
 * Starts vitest on a part.
 * @param {string} part one of {@link PARTS}
 * @param {string[]} args words and options
 * @param {{ node?: string, stdio: import('node:child_process').StdioOptions }} options
 */
export function startVitest(part, args, { node = process.execPath, stdio }) {
  return spawn(node, [VITEST, 'run', '--project', `${part}*`, ...args], {
    cwd: projectRoot,
    stdio,
  });
}
