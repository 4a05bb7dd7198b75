import type { Figure, Target } from '../suite/bench.ts';
import { percentile } from '../support/percentile.ts';

/** The median and the maximum of samples in milliseconds. The target applies to the median. */
export function p50AndMax(name: string, samples: readonly number[], target?: Target): Figure[] {
  const judged = target === undefined ? {} : { target };
  return [
    { name: `${name}, p50`, unit: 'ms', value: percentile(samples, 50), ...judged },
    { name: `${name}, max`, unit: 'ms', value: Math.max(...samples) },
  ];
}
