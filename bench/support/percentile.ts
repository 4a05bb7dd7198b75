/**
 * The smallest sample that at least `percent` of all do not exceed (nearest rank).
 * @throws RangeError if there are none
 */
export function percentile(samples: ArrayLike<number>, percent: number): number {
  const sorted = new Float64Array(samples).sort();
  const found = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('There is no sample.');
  return found;
}

/** The 50th percentile. @throws RangeError without samples */
export function median(samples: ArrayLike<number>): number {
  return percentile(samples, 50);
}
