import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ALONE, FIRST, isLong, LONG } from './test/extent.ts';
import { createProgress } from './test/progress.ts';
import { createPassRecorder, unchangedFiles } from './test/unchanged.ts';

/** These tests start and stop containers, which is slow on a busy machine. */
const E2E_TIMEOUT_MS = 120_000;
/** Hooks start and stop engines. If an image cannot be linked (testkit/engineImage.ts), copying it takes minutes. */
const E2E_HOOK_TIMEOUT_MS = 600_000;
/** Longer than the limit of `until` (testkit/until.ts), so that its error says what the test waited for. */
const INT_TIMEOUT_MS = 90_000;
/** Unit tests do not wait. This limit only ends a test that computes for ever, however busy the machine is. */
const UNIT_TIMEOUT_MS = 30_000;

/**
 * How long `expect.poll` polls. The default of Vitest is 1 s. The expected state comes within milliseconds, or within
 * seconds on a busy machine, so the limit matters only for a test that fails. It is below the time limit of a test, so
 * that the error says what the test waited for.
 */
const POLLING = { poll: { timeout: 20_000 } };

/**
 * Without this alias, Vite would load graphql's .mjs for our files, while packages load its .js. The two copies reject
 * each other's types.
 */
const oneGraphql = { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] };

/** The folder for a report of each run. .ci/run sets it, and counts the tests in these reports. */
const reports = process.env.CELLHOUSE_TEST_REPORTS;
const report: ['json', { outputFile: string }][] = reports
  ? [['json', { outputFile: join(reports, `${process.pid}.json`) }]]
  : [];

/** Tests of the gateway mostly wait, for the database or for time limits to pass. */
const INT_FILES_AT_ONCE = availableParallelism() * 2;
/** Tests of real containers also wait, for engines, for kernels or for time limits to pass. */
const E2E_FILES_AT_ONCE = Math.ceil(availableParallelism() * 1.5);
const e2eFile = (name: string) => `test/e2e/${name}`;
/** Only `npm test` without words sets this variable. So a file that somebody names always runs. */
const unchanged = process.env.CELLHOUSE_TEST_CHANGED === '1' && !isLong ? unchangedFiles() : [];
const left = [...(isLong ? [] : LONG.map(e2eFile)), ...unchanged];

const progress = createProgress({
  unchanged,
  ...(reports && { timesFile: join(reports, `${process.pid}.times`) }),
});

/**
 * Begins with FIRST. Vitest begins with the largest files. A small file that takes minutes would begin last, and then
 * run while nothing else does.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const first = FIRST.map((name) => join(this.ctx.config.root, e2eFile(name)));
    const sorted = await super.sort(files);
    const isFirst = (file: TestSpecification) => first.includes(file.moduleId);
    return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: ['default', progress, createPassRecorder(), ...report],
    passWithNoTests: false,
    allowOnly: false,
    retry: 0,
    // By default, Vitest reserves one CPU for itself, which is half of a machine with two.
    maxWorkers: '100%',
    projects: [
      {
        resolve: oneGraphql,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Otherwise each file would start a process and load its modules again, which takes longer than most files.
          isolate: false,
          testTimeout: UNIT_TIMEOUT_MS,
          hookTimeout: UNIT_TIMEOUT_MS,
          expect: POLLING,
        },
      },
      {
        resolve: oneGraphql,
        test: {
          name: 'int',
          include: ['test/int/**/*.test.ts'],
          globalSetup: ['test/support/provideDatabase.ts', 'test/support/provideLightImage.ts'],
          // As above. Here, the modules are those of the whole gateway.
          isolate: false,
          maxWorkers: INT_FILES_AT_ONCE,
          testTimeout: INT_TIMEOUT_MS,
          expect: POLLING,
          hookTimeout: INT_TIMEOUT_MS,
        },
      },
      {
        resolve: oneGraphql,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: [...ALONE.map(e2eFile), ...left],
          globalSetup: ['test/support/provideCluster.ts', 'test/support/provideLightImage.ts'],
          // As for the unit tests.
          isolate: false,
          maxWorkers: E2E_FILES_AT_ONCE,
          sequence: { groupOrder: 1 },
          testTimeout: E2E_TIMEOUT_MS,
          expect: POLLING,
          hookTimeout: E2E_HOOK_TIMEOUT_MS,
        },
      },
      {
        resolve: oneGraphql,
        test: {
          name: 'e2e-alone',
          include: ALONE.map(e2eFile),
          exclude: left,
          globalSetup: ['test/support/provideCluster.ts', 'test/support/provideLightImage.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: E2E_TIMEOUT_MS,
          expect: POLLING,
          hookTimeout: E2E_HOOK_TIMEOUT_MS,
        },
      },
    ],
  },
});
