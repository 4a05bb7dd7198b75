import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ALONE, FIRST, isLong, LONG } from './test/extent.ts';
import { createProgress } from './test/progress.ts';
import { createPassRecorder, unchangedFiles } from './test/unchanged.ts';

/** Containers are started and stopped in these; a loaded machine takes its time. */
const E2E_TIMEOUT_MS = 120_000;
/** Engines start and end in hooks. One that cannot link its image (testkit/engineImage.ts) copies it for minutes. */
const E2E_HOOK_TIMEOUT_MS = 600_000;
/** Longer than `until` looks (testkit/until.ts), which says what did not come. */
const INT_TIMEOUT_MS = 90_000;
/** Nothing waits in these: it ends one that computes for ever, on a machine however busy. */
const UNIT_TIMEOUT_MS = 30_000;

/**
 * How long `expect.poll` looks. What it waits for comes within milliseconds, and within seconds on a busy machine: the
 * limit only ends a wait in vain. Vitest's own is 1 s. Below the time limit of a test, so that the test says what did not
 * come.
 */
const POLLING = { poll: { timeout: 20_000 } };

/** Vite would take graphql's .mjs for our files while packages load its .js: two copies that refuse each other's types. */
const oneGraphql = { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] };

/** Where .ci/run wants a report of each run, to count the tests. */
const reports = process.env.CELLHOUSE_TEST_REPORTS;
const report: ['json', { outputFile: string }][] = reports
  ? [['json', { outputFile: join(reports, `${process.pid}.json`) }]]
  : [];

/** Tests of the gateway mostly wait: for the database, for limits that have to pass. */
const INT_FILES_AT_ONCE = availableParallelism() * 2;
/** Tests of real containers also wait: for engines, for kernels, for limits that have to pass. */
const E2E_FILES_AT_ONCE = Math.ceil(availableParallelism() * 1.5);
const e2eFile = (name: string) => `test/e2e/${name}`;
/** `npm test` without words asks for it, so a file that somebody names always runs. */
const unchanged = process.env.CELLHOUSE_TEST_CHANGED === '1' && !isLong ? unchangedFiles() : [];
const left = [...(isLong ? [] : LONG.map(e2eFile)), ...unchanged];

const progress = createProgress({
  unchanged,
  ...(reports && { timesFile: join(reports, `${process.pid}.times`) }),
});

/** Begins with FIRST. Vitest goes by the size of files, and a short file that takes minutes would run beside nothing. */
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
    // Vitest would leave a CPU to itself, which of two is half.
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
          expect: POLLING,
        },
      },
      {
        resolve: oneGraphql,
        test: {
          name: 'int',
          include: ['test/int/**/*.test.ts'],
          globalSetup: ['test/support/provideDatabase.ts', 'test/support/provideLightImage.ts'],
          // As above, and the modules are those of the whole gateway.
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
