/**
 * What `npm test` runs, and what only `npm run test:long` runs: the whole matrix, every repetition, every long run.
 * docs/internals/testing.md has the table.
 */
export const isLong = process.env.CELLHOUSE_TEST_LONG === '1';

/**
 * Files of test/e2e that run alone: they compare shares of CPU or memory, check that streams end within the second that
 * docs/run/access.md promises, open thousands of connections, or share names of images with another file. All other
 * files run several at a time (vitest.config.ts).
 */
export const ALONE = [
  'cgroupV2.test.ts',
  'e2b/gateways.test.ts',
  'fairness.test.ts',
  'fileMemory.test.ts',
  'release.test.ts',
  'revocation.test.ts',
  'security/limits.test.ts',
  'soak.test.ts',
  'thousandSubscribers.test.ts',
];

/** Files of test/e2e that have few lines but take minutes to run. They begin before all others. */
export const FIRST = [
  'proxiesLong.test.ts',
  'agentChecks.test.ts',
  'chaos.test.ts',
  'rollingRestart.test.ts',
  'engineOutage.test.ts',
  'bench.test.ts',
  'compose.test.ts',
  'environments.test.ts',
  'databaseOutage.test.ts',
];

/** The sources that make and load images, and start engines. */
const SET_UP = ['scripts/setup', 'testkit/engineImage.ts', 'testkit/ownEngine.ts'];

/**
 * Files of test/e2e about the agent alone, set-up, engines and benches, each with the paths that it covers. `npm test`
 * leaves a file out if the file has passed on this machine and nothing that it covers has changed since
 * (test/unchanged.ts). `npm run test:long` leaves no file out.
 */
export const COVERED: Readonly<Record<string, readonly string[]>> = {
  'agentChecks.test.ts': [
    ...['worker-image', 'test/e2e/security/probes', 'examples', 'bench'],
    ...['test/support/agentWithTests.ts', 'testkit/testImage.ts'],
  ],
  'bench.test.ts': ['bench', 'scripts', 'testkit', 'test/support/runBench.ts'],
  'compose.test.ts': [
    ...['Dockerfile', '.dockerignore', 'docker-compose.yml', 'package-lock.json', 'scripts'],
    ...['worker-image/Dockerfile', 'worker-image/packages.txt', 'src/config'],
    ...['README.md', 'docs/run/install.md', 'docs/run/backup.md', 'docs/run/isolation.md'],
    ...['test/support/compose.yml', 'test/support/standInImages.ts', 'test/support/standIns'],
  ],
  'degraded.test.ts': ['src/pool', 'src/runtime', 'testkit/gateway.ts'],
  'ownEngine.test.ts': SET_UP,
  'pruneImages.test.ts': SET_UP,
  'setupEngine.test.ts': SET_UP,
  'setupRunsc.test.ts': [...SET_UP, 'scripts/setup-runsc.mjs', 'docs/run/isolation.md'],
};

/** Files of test/e2e that `npm test` leaves out. */
export const LONG = [
  'benchDoors.test.ts',
  'benchE2b.test.ts',
  'benchPair.test.ts',
  'cgroupV2.test.ts',
  'contenders.test.ts',
  'databaseDump.test.ts',
  'doctorEngine.test.ts',
  'mcpPatience.test.ts',
  'proxiesLong.test.ts',
  'release.test.ts',
  'service.test.ts',
  'monitoring.test.ts',
  'soak.test.ts',
  'standby.test.ts',
  'thousandSubscribers.test.ts',
];

const RUNTIMES = ['runc', 'runsc'] as const;

/** The numbers and variants in which the two commands differ. The table in testing.md has the same names. */
export const EXTENT = isLong
  ? ({
      chaosMinutes: 3,
      engineEndsBy: ['SIGTERM', 'SIGKILL'],
      e2bInstalls: 2,
      environmentRounds: 4,
      interruptedCells: 200,
      jupyterPlaces: ['control', 'door', 'behind', 'doorOfAll'],
      killedBuilds: 8,
      laneRuns: 300,
      largeFileMib: 1_024,
      quotaSeconds: 120,
      resumeCuts: 500,
      runtimes: RUNTIMES,
      stoppedRounds: 1_000,
      tenantOperations: 20_000,
      tenantSequence: 1_500,
    } as const)
  : ({
      chaosMinutes: 0.5,
      engineEndsBy: ['SIGKILL'],
      e2bInstalls: 1,
      environmentRounds: 1,
      interruptedCells: 3,
      jupyterPlaces: ['door', 'behind'],
      killedBuilds: 1,
      laneRuns: 50,
      largeFileMib: 256,
      quotaSeconds: 12,
      resumeCuts: 200,
      runtimes: ['runc'],
      stoppedRounds: 150,
      tenantOperations: 3_000,
      tenantSequence: 200,
    } as const);
