/** What users who flood cost another: whatever makes its calls wait behind their output is seen. `npm run bench -- fairness` measures it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFlood } from '../support/flood.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { execute } from '../support/interpreter.ts';

const FLOODING_USERS = 4;
const ROUNDS = 2;
const SAMPLES = 20;
/** Of the medians. Twice the for the 95th percentile, on a machine that does other things as well. */
const MAX_RATIO = 10;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.destroy());

it('a call beside users who print without end takes a few times what it takes without them', async () => {
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

async function samples(): Promise<number[]> {
  const tookMs: number[] = [];
  for (let turn = 0; turn < SAMPLES; turn += 1) {
    const startedAt = performance.now();
    expect((await execute(gateway, 'quiet', '1+1')).resultText).toBe('2');
    tookMs.push(performance.now() - startedAt);
  }
  return tookMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
