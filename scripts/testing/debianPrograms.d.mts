/** Unpacks Debian packages beside the npm packages, without installing them. Resolves with their folder. */
export function ensureUnpacked(
  name: 'postgresql' | 'prometheus' | 'promtool' | 'proxies',
): Promise<string>;
