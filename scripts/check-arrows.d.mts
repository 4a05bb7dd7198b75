/** See check-arrows.mjs. */
export function wrongArrows(sources: Readonly<Record<string, string>>): string[];
