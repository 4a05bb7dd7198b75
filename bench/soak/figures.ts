/** The figures that a soak watches, and how much each may grow in one run. */

/** One kind of figure. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  /**
   * How much the fitted line may rise after the warm-up, whatever the length of the run. So a longer run detects a
   * smaller leak. Each value is just above the observed effect of noise, caches that fill up late, and connections kept
   * for a while.
   */
  readonly allowedGrowth: number;
}

export const FIGURES = {
  heap: { name: 'gateway: data after collection', unit: 'MiB', allowedGrowth: 3 },
  rss: { name: 'gateway: resident memory', unit: 'MiB', allowedGrowth: 16 },
  handles: { name: 'gateway: active handles', unit: '', allowedGrowth: 8 },
  fds: { name: 'gateway: file descriptors', unit: '', allowedGrowth: 8 },
  agentMemory: { name: 'agents: anonymous memory, mean', unit: 'MiB', allowedGrowth: 2 },
  agentFds: { name: 'agents: file descriptors, mean', unit: '', allowedGrowth: 1 },
} as const satisfies Record<string, Figure>;

export type FigureName = keyof typeof FIGURES;

/** All figures at a moment when nothing is running. */
export type Look = Readonly<Record<FigureName, number>> & { readonly minute: number };
