/**
 * Users whose code prints without end hardly delay the calls of another user. (`npm run bench -- fairness` measures the
 * same.)
 */
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { median } from '../../bench/suite/statistics.ts';
import { CPU_SHARES } from '../../src/runtime/docker/containerSpec.ts';
import { startFlood } from '../../testkit/flood.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { containerOf, execute, interrupt, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';

const FLOODING_USERS = 4;
const ROUNDS = 2;
const SAMPLES = 20;
/**
 * The limit for the ratio of the medians. The goal is 5 for the 95th percentile; the limit is twice that, since the
 * machine does other work, too.
 */
const MAX_RATIO = 10;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '1' });
});
afterAll(() => gateway.destroy());

it(`a call beside users who print without end takes less than ${MAX_RATIO} times as long as alone`, async () => {
  await samples();
  const quietMs: number[] = [];
  const floodMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    quietMs.push(...(await samples()));
    const flood = await startFlood(gateway, FLOODING_USERS);
    floodMs.push(...(await samples()));
    await flood.stop();
  }
  expect(median(floodMs) / median(quietMs)).toBeLessThan(MAX_RATIO);
});

describe('an execution that takes long', () => {
  const user = 'long';
  const cpuShares = async () => {
    const container = new Docker().getContainer(await containerOf(gateway, user));
    return (await container.inspect()).HostConfig.CpuShares;
  };
  const untilTheyAre = (shares: number) =>
    until(`${shares} shares`, async () => (await cpuShares()) === shares);
  const begin = async () => (await submit(gateway, user, 'import time; time.sleep(60)')).id;

  it('yields its CPUs until it ends', async () => {
    await execute(gateway, user, '1');
    expect(await cpuShares()).toBe(CPU_SHARES.full);
    const id = await begin();
    await untilTheyAre(CPU_SHARES.yielding);
    await interrupt(gateway, id);
    await untilTheyAre(CPU_SHARES.full);
  });

  it('has its CPUs back when it ends after its gateway was killed and restarted', async () => {
    const id = await begin();
    await untilTheyAre(CPU_SHARES.yielding);
    await gateway.kill('SIGKILL');
    await gateway.restart();
    await interrupt(gateway, id);
    await untilTheyAre(CPU_SHARES.full);
  });
});

async function samples(): Promise<number[]> {
  const tookMs: number[] = [];
  for (let turn = 0; turn < SAMPLES; turn += 1) {
    const startedAt = performance.now();
    expect((await execute(gateway, 'quiet', '1+1')).resultText).toBe('2');
    tookMs.push(performance.now() - startedAt);
  }
  return tookMs;
}
