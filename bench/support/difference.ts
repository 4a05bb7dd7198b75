import type { Figure, Samples } from '../suite/bench.ts';
import { median } from './percentile.ts';

/** By how many ms the median of the measured side is more than that of its base. */
export function difference(name: string, base: Samples, measured: Samples, atMost: number): Figure {
  const value = median(measured.values) - median(base.values);
  return { name: `${name}, p50`, unit: 'ms', value, target: { atMost } };
}
