/** See check-schema.mjs. */
export function unnamedBreaks(given: {
  readonly before: string;
  readonly after: string;
  readonly changelog: string;
  readonly release: string;
}): string[];
