/** See package.mjs. */
export function makePackage(folder: string): Promise<void>;
