/** See notices.mjs. */
export const NOTICES_FILE: string;
export function noticesOf(paths: readonly string[]): string;
export function packagesIn(notices: string): string[];
