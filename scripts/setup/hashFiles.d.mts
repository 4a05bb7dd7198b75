export function hashFiles(
  root: string,
  paths: readonly string[],
  options?: { readonly skip?: (path: string) => boolean; readonly salt?: string },
): string;
export function filesBelow(path: string): string[];
