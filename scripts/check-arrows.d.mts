/** See check-arrows.mjs. */
export function arrowsIn(sources: Readonly<Record<string, string>>): Map<string, Set<string>>;
export function circles(sources: Readonly<Record<string, string>>): string[];
export function needlesslyOpen(sources: Readonly<Record<string, string>>): string[];
export function readRooms(): Record<string, string>;
export function wrongArrows(sources: Readonly<Record<string, string>>): string[];
