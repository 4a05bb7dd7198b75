import type { Target } from './bench.ts';
import type { Ratio } from './statistics.ts';

/** Whether higher values are better. They are for rates, but not for times, sizes and counts. */
export function isMoreBetter(unit: string): boolean {
  return unit.endsWith('/s');
}

export function isMet(value: number, target: Target): boolean {
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}

/** The value of a ratio that is compared with its target. */
export function judgedEnd({ p50, low, high }: Ratio, target?: Target): number {
  if (!target?.atNearEnd) return p50;
  return 'atMost' in target ? low : high;
}
