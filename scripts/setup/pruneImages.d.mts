export function imagesToPrune(
  images: readonly {
    readonly Id: string;
    readonly Created: number;
    readonly RepoTags: readonly string[] | null;
  }[],
  used: ReadonlySet<string>,
  nowMs: number,
): string[];
