/** See texts.mjs. */
export function releaseNotes(given: {
  readonly changelog: string;
  readonly version: string;
}): string;
export function composeFileOf(composeFile: string): string;
export function dotEnvOf(version: string): string;
