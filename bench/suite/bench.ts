/** The interface of a bench that `npm run bench` runs, and of its results. */

/** One series of measurements, without the warm-up. */
export interface Samples {
  readonly name: string;
  readonly values: readonly number[];
  /**
   * How many consecutive values are from one process. The interval then includes how much processes of the same program
   * differ. @default all values are from one process
   */
  readonly perProcess?: number;
}

/** A bound for a ratio or a figure, from the project's targets. */
export type Target = ({ readonly atMost: number } | { readonly atLeast: number }) & {
  /**
   * If true, the end of the ratio's interval that is nearer to the good side is judged instead of the median. A target
   * that is missed even so is not missed by chance. @default false
   */
  readonly atNearEnd?: boolean;
};

/** Two series that were measured in turns in one run, so that a busy machine affects both alike. */
export interface Comparison {
  readonly name: string;
  /** The unit of the values: `ms`, `MB/s`, `1/s`, `MiB`. */
  readonly unit: string;
  readonly base: Samples;
  readonly measured: Samples;
  /** The target for the ratio of the medians, measured to base. */
  readonly target?: Target;
}

/** A single reported value. It depends on the machine as much as on Cellhouse, so no run fails because of it. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly target?: Target;
}

export interface BenchResult {
  readonly comparisons: readonly Comparison[];
  readonly figures: readonly Figure[];
  /** An error although everything was measured. It is reported with the results, and the run exits with 1. */
  readonly failure?: string;
}

export interface BenchRun {
  /** For CI: take only as many samples as are needed to detect a slowdown by 1.5x. */
  readonly isShort: boolean;
  /** The arguments after the bench's name on the command line, for `parseArgs`. */
  readonly args: readonly string[];
  /** Prints the progress. It is not part of the result. */
  say(line: string): void;
}

export interface Bench {
  /** The name for `npm run bench -- NAME`. */
  readonly name: string;
  /** What it measures, in one line. */
  readonly about: string;
  /** Whether a bare `npm run bench` runs it. All such benches together take 20 minutes at most. */
  readonly isInBareRun: boolean;
  /** Starts and ends everything that it needs. @throws Error if an answer was wrong */
  run(run: BenchRun): Promise<BenchResult>;
}
