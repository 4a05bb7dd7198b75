/**
 * Two environments at MAX_TOTAL_WORKERS, under load at two gateways: nobody gets a worker of another environment or
 * waits forever, and the pool's counts agree with the events. Images and workers are real.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import {
  createTestEnvironment,
  execute,
  openSessionIn,
  release,
} from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { EXTENT } from '../extent.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const MAX_WORKERS = 3;
const CLIENTS = 6;
const ENVIRONMENTS = [null, 'science', 'art'] as const;
const MARK = '/usr/local/share/which';
/** Enough for as many starts as there are sessions, one after the other, even if each is far slower than usual. */
const LONGEST_WAIT_MS = 60_000;

const COUNTS = 'totalWorkers busyWorkers idleWorkers startingWorkers';
const BY_ENVIRONMENT = `${COUNTS} environments { name version ${COUNTS} }`;

let installation: TestInstallation;
let gateways: readonly [TestGateway, TestGateway];
beforeAll(async () => {
  installation = await createInstallation({
    MIN_IDLE_WORKERS: '1',
    MIN_IDLE_ENVIRONMENT_WORKERS: '1',
    MAX_TOTAL_WORKERS: String(MAX_WORKERS),
    WORKER_WAIT_TIMEOUT_MS: String(LONGEST_WAIT_MS),
  });
  gateways = [await installation.start(), await installation.start()];
  for (const name of ['science', 'art'])
    await createTestEnvironment(gateways[0], { name, setup: `printf ${name} > ${MARK}` });
});
afterAll(() => installation.destroy());

/** Gives the name that the set-up of the session's environment wrote into its image, or None. */
const CODE = `
import pathlib
mark = pathlib.Path("${MARK}")
mark.read_text() if mark.exists() else None`;

async function client(index: number): Promise<void> {
  const environment = ENVIRONMENTS[index % ENVIRONMENTS.length] ?? null;
  const gateway = gateways[index % 2] ?? gateways[0];
  const user = `client-${index}`;
  for (let round = 0; round < EXTENT.environmentRounds; round += 1) {
    const its = environment && { name: environment, version: 1 };
    expect(await openSessionIn(gateway, user, environment)).toEqual({
      environment: its,
      worker: { environment: its },
    });
    const { status, resultText } = await execute(gateway, user, CODE);
    expect([status, resultText]).toEqual(['OK', environment && `'${environment}'`]);
    await release(gateway, user);
  }
}

describe('two environments at the limit of all workers', () => {
  it('serve every user of both gateways with workers of their own environment', async () => {
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
    const [row] = await installation.sql<{ most: number }[]>`
      SELECT max(total)::int AS most FROM (
        SELECT sum(CASE type WHEN 'WorkerRequested' THEN 1 ELSE -1 END) OVER (ORDER BY position) AS total
        FROM events WHERE type IN ('WorkerRequested', 'WorkerRetired', 'WorkerLost')
      ) counted`;
    expect(row?.most).toBeLessThanOrEqual(MAX_WORKERS);
    const [lost] = await installation.sql<{ count: number }[]>`
      SELECT count(*)::int AS count FROM events WHERE type = 'WorkerLost'`;
    expect(lost?.count).toBe(0);
  });

  it('are counted alike at both gateways and in the fold of the events', async () => {
    await until('all idle minimums', async () => {
      const { data } = await gateways[1].graphql<{ poolStatus: { idleWorkers: number } }>(
        '{ poolStatus { idleWorkers startingWorkers } }',
      );
      return data?.poolStatus.idleWorkers === 3;
    });
    const statuses = await Promise.all(
      gateways.map(async (gateway) => {
        const { data } = await gateway.graphql<{ poolStatus: object }>(
          `{ poolStatus { ${BY_ENVIRONMENT} } }`,
        );
        return data?.poolStatus;
      }),
    );
    const idle = { totalWorkers: 1, busyWorkers: 0, idleWorkers: 1, startingWorkers: 0 };
    expect(statuses[0]).toEqual({
      ...{ totalWorkers: 3, busyWorkers: 0, idleWorkers: 3, startingWorkers: 0 },
      environments: [
        { name: 'art', version: 1, ...idle },
        { name: 'science', version: 1, ...idle },
      ],
    });
    expect(statuses[1]).toEqual(statuses[0]);
    const { data } = await gateways[1].graphql<{ poolAt: { environments: { name: string }[] } }>(
      `query At($at: DateTime!) { poolAt(at: $at) { ${BY_ENVIRONMENT} } }`,
      { at: new Date().toISOString() },
    );
    data?.poolAt.environments.sort((one, other) => one.name.localeCompare(other.name));
    expect(data?.poolAt).toEqual(statuses[0]);
  });
});
