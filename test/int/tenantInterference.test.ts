/**
 * A tenant makes the same calls twice: alone, and while another tenant is at work. It is answered the same, so that no
 * count, position, cursor or length tells it of the other. The workers are programmed.
 */
import { expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import type { Service } from '../../src/service/service.ts';
import { EXTENT } from '../extent.ts';
import { SEED } from '../support/seeded.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';
import { play, playAlone } from '../support/tenantPlay.ts';

const SETTINGS = { MAX_TOTAL_WORKERS: '60', MIN_IDLE_WORKERS: '4' };
const OTHERS_AT_A_TIME = 100;
const LIMIT_MS = 300_000;
/** Among so many calls, at least one reads `poolStatus` or `events`. */
const FEW = 200;

const quiet = await useServiceGateways(SETTINGS);
const busy = await useServiceGateways(SETTINGS);
const alone = [await quiet.start(), await quiet.start()].map(({ service }) => service);
const beside = [await busy.start(), await busy.start()].map(({ service }) => service);

it(
  `a tenant is answered the same, whether or not another is at work (SEED=${SEED})`,
  async () => {
    const sequence = { seed: SEED, count: EXTENT.tenantSequence, tenant: 'red' } as const;
    const expected = await playAlone(quiet.db, alone, sequence);
    let isOver = false;
    const others = (async () => {
      for (let seed = SEED; !isOver; seed += 1) {
        const plan = {
          seed,
          count: OTHERS_AT_A_TIME,
          services: beside,
          tenants: ['blue'],
        } as const;
        await play(busy.db, plan);
      }
    })();
    const seen = await playAlone(busy.db, beside, sequence).finally(() => {
      isOver = true;
    });
    await others;
    const first = seen.findIndex((answer, index) => answer !== expected[index]);
    expect(seen[first], `the answer of call ${first}`).toBe(expected[first]);
  },
  LIMIT_MS,
);

it('the comparison notices numbers that count other tenants, too', async () => {
  const leaking = (service: Service): Service => ({
    ...service,
    poolStatus: () => service.poolStatus(AUTH_TOKEN_HOLDER),
    events: (_principal, ...rest) => service.events(AUTH_TOKEN_HOLDER, ...rest),
  });
  const sequence = { seed: SEED, count: FEW, tenant: 'red' } as const;
  const shown = await Promise.all([
    playAlone(quiet.db, alone.map(leaking), sequence),
    playAlone(busy.db, beside.map(leaking), sequence),
  ]);
  const different = shown[0].filter((answer, index) => answer !== shown[1][index]);
  // Other answers differ as well, because ids are replaced by numbers in the order in which they first appear.
  expect(different.join('\n')).toMatch(/^(poolStatus|events): /m);
});
