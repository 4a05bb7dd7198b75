/** What `npm run bench` runs, and what each bench gives back. */

/** One series of measurements, the warm-up left out. */
export interface Samples {
  readonly name: string;
  readonly values: readonly number[];
  /**
   * So many at a time are of one process, the next as many of another. The interval then also says how much one process differs from
   * another of the same program. @default all are of the same
   */
  readonly perProcess?: number;
}

/** A bound for a ratio or a figure, from the project's targets. */
export type Target = ({ readonly atMost: number } | { readonly atLeast: number }) & {
  /**
   * The end of a ratio's interval that is nearer to the bound's good side is judged, not its median: what is missed then is not
   * missed by chance. @default false
   */
  readonly atNearEnd?: boolean;
};

/** Two series that were taken in turns in one run, so that a busy machine bears on both alike. */
export interface Comparison {
  readonly name: string;
  /** Of the values: `ms`, `MB/s`, `1/s`, `MiB`. */
  readonly unit: string;
  readonly base: Samples;
  readonly measured: Samples;
  /** For the ratio of the medians, measured to base. */
  readonly target?: Target;
}

/** What is reported as it is. It says as much about the machine as about Cellhouse, so nothing fails on it. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly target?: Target;
}

export interface BenchResult {
  readonly comparisons: readonly Comparison[];
  readonly figures: readonly Figure[];
  /** What must not be, though everything was measured: reported with the results, and the run ends with 1. */
  readonly failure?: string;
}

export interface BenchRun {
  /** As few samples as still tell 1.5x: for CI. */
  readonly isShort: boolean;
  /** What followed the bench's name on the command line, for `parseArgs`. */
  readonly args: readonly string[];
  /** Tells whoever watches how far it is; no part of the result. */
  say(line: string): void;
}

export interface Bench {
  /** As it is called: `npm run bench -- NAME`. */
  readonly name: string;
  /** What it measures, in one line. */
  readonly about: string;
  /** Whether a bare `npm run bench` runs it; all of those together take 20 minutes at most. */
  readonly isInBareRun: boolean;
  /** Starts what it needs and ends it. @throws Error when an answer was not the right one */
  run(run: BenchRun): Promise<BenchResult>;
}
