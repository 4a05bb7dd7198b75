/** The smallest sample that at least `percent` of all do not exceed (nearest rank). @throws RangeError without samples */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((one, other) => one - other);
  const found = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('There is no sample.');
  return found;
}
