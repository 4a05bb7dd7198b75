import type { Target } from './bench.ts';
import type { Ratio } from './statistics.ts';

/** Whether more of this unit is better: of a rate it is, of a time, a size or a count it is not. */
export function isMoreBetter(unit: string): boolean {
  return unit.endsWith('/s');
}

export function isMet(value: number, target: Target): boolean {
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}

/** What of a ratio is held against its target. */
export function judgedEnd({ p50, low, high }: Ratio, target?: Target): number {
  if (!target?.atNearEnd) return p50;
  return 'atMost' in target ? low : high;
}
