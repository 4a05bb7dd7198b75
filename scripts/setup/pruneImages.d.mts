export function imagesToPrune(
  images: readonly {
    readonly Id: string;
    readonly RepoTags?: readonly string[] | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
  }[],
  facts: {
    readonly lastUsed: ReadonlyMap<string, number>;
    readonly inUse: ReadonlySet<string>;
    readonly nowMs: number;
  },
): string[];
export function imageLabels(
  kind: 'worker' | 'base' | 'gateway' | 'environment' | 'test',
): Readonly<Record<string, string>>;
