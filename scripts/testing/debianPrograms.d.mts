/** Unpacks Debian packages beside the npm packages, without installing them. Resolves with their folder. */
export function ensureUnpacked(name: string, packages: readonly string[]): Promise<string>;
