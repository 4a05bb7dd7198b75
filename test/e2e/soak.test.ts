/** The short form of `npm run bench -- soak` (bench/soak.ts): a gateway and its agents do not grow with use. */
import { expect, it } from 'vitest';
import { plotSvg, runSoak } from '../../bench/soak.ts';
import { STEPS } from '../../bench/soakLoad.ts';
import { FIGURES } from '../../bench/support/holdings.ts';

const MINUTES = 2;
/** Includes the start, the end, and the time until each round is at rest. */
const LIMIT_MS = 300_000;

it(
  'memory, handles and file descriptors are flat after the warm-up of a mixed load',
  async () => {
    const result = await runSoak(MINUTES);
    for (const name of [...Object.keys(STEPS), 'visit'])
      expect(result.counts.get(name), name).toBeGreaterThan(1);
    expect(result.looks.at(-1)?.minute).toBeGreaterThanOrEqual(MINUTES);
    const names = result.verdicts.map(({ figure }) => figure);
    expect(names).toEqual(Object.keys(FIGURES));
    expect(result.verdicts.filter(({ isFlat }) => !isFlat)).toEqual([]);
    const plot = plotSvg(result, 'title');
    expect(plot.match(/<polyline points="[^"NI]+"/g)).toHaveLength(names.length);
  },
  LIMIT_MS,
);
