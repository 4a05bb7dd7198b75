import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Containers are started and stopped in these; a loaded machine takes its time. */
const E2E_TIMEOUT_MS = 120_000;
const INT_TIMEOUT_MS = 30_000;
/** They only compute, which takes long on a machine with too much to do. */
const UNIT_TIMEOUT_MS = 30_000;

/** Vite would take graphql's .mjs for our files while packages load its .js: two copies that refuse each other's types. */
const oneGraphql = { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] };

/** Where .ci/run wants a report of each run, to count the tests. */
const reports = process.env.CELLHOUSE_TEST_REPORTS;
const report: ['json', { outputFile: string }][] = reports
  ? [['json', { outputFile: join(reports, `${process.pid}.json`) }]]
  : [];

export default defineConfig({
  test: {
    reporters: ['default', ...report],
    passWithNoTests: false,
    allowOnly: false,
    retry: 0,
    projects: [
      {
        resolve: oneGraphql,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: UNIT_TIMEOUT_MS,
        },
      },
      {
        resolve: oneGraphql,
        test: {
          name: 'int',
          include: ['test/int/**/*.test.ts'],
          globalSetup: ['test/support/provideDatabase.ts'],
          testTimeout: INT_TIMEOUT_MS,
          hookTimeout: INT_TIMEOUT_MS,
        },
      },
      {
        resolve: oneGraphql,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          // One after the other: they share an engine, and measure.
          fileParallelism: false,
          testTimeout: E2E_TIMEOUT_MS,
          hookTimeout: E2E_TIMEOUT_MS,
        },
      },
    ],
  },
});
