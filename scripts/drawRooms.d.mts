/** See drawRooms.mjs. */
export function drawRooms(arrows: ReadonlyMap<string, ReadonlySet<string>>): string;
