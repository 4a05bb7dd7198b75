/** Fits a trend to a series of samples. */

/** A value at a time, in minutes since the start. */
export interface Sample {
  readonly minute: number;
  readonly value: number;
}

export interface Trend {
  /** The median of all samples. */
  readonly level: number;
  /** How much the fitted line rises from the first sample to the last. Negative if it falls. */
  readonly growth: number;
}

/**
 * Fits a line with the Theil-Sen estimator: its slope is the median of the slopes between all pairs of samples. So
 * single outliers hardly affect it (Sen, Estimates of the regression coefficient based on Kendall's tau, 1968).
 * @throws RangeError if there are fewer than two samples
 */
export function trendOf(samples: readonly Sample[]): Trend {
  const slopes = samples.flatMap((one, at) =>
    samples.slice(at + 1).map((other) => (other.value - one.value) / (other.minute - one.minute)),
  );
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || slopes.length === 0) throw new RangeError('A trend needs two samples.');
  return {
    level: median(samples.map(({ value }) => value)),
    growth: median(slopes) * (last.minute - first.minute),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  if (low === undefined || high === undefined) throw new RangeError('There is no sample.');
  return (low + high) / 2;
}
