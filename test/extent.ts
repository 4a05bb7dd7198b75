/**
 * What `npm test` runs, and what only `npm run test:long` does: the whole matrix, every repeat, every long run.
 * docs/testing.md has the table of it.
 */
export const isLong = process.env.CELLHOUSE_TEST_LONG === '1';

/**
 * Files of test/e2e that want the machine for themselves: they stop engines or servers under load, have many workers made at
 * once, or hold something to a time, a share of the CPU or an amount of memory. Of all others two run at a time.
 */
export const ALONE = [
  'cgroupV2.test.ts',
  'chaos.test.ts',
  'databaseOutage.test.ts',
  'engineOutage.test.ts',
  'fairness.test.ts',
  'gatewayFailures.test.ts',
  'gateways.test.ts',
  'interruptGrace.test.ts',
  'kernelTime.test.ts',
  'orphanedWorker.test.ts',
  'pool.test.ts',
  'rollingRestart.test.ts',
  'security/limits.test.ts',
  'soak.test.ts',
  'thousandSubscribers.test.ts',
];

/** Files of test/e2e that `npm test` leaves out. */
export const LONG = ['contenders.test.ts', 'soak.test.ts', 'thousandSubscribers.test.ts'];

const RUNTIMES = ['runc', 'runsc'] as const;

/** Of what both run, how much: the names are those of the table in docs/testing.md. */
export const EXTENT = isLong
  ? ({
      chaosMinutes: 3,
      engineEndsBy: ['SIGTERM', 'SIGKILL'],
      interruptedCells: 200,
      limitsUnder: RUNTIMES,
      neighboursUnder: RUNTIMES,
      resumeCuts: 500,
    } as const)
  : ({
      chaosMinutes: 1,
      engineEndsBy: ['SIGKILL'],
      interruptedCells: 3,
      limitsUnder: ['runc'],
      neighboursUnder: ['runc'],
      resumeCuts: 200,
    } as const);
