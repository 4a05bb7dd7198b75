/** See sbom.mjs. */
export interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}
export function sbomOf(artefact: {
  readonly name: string;
  readonly version: string;
  readonly time: Date;
  readonly components: readonly Component[];
}): string;
export function npmComponents(
  notices: string,
  locked: Readonly<Record<string, unknown>>,
): { readonly bundled: Component[]; readonly installed: Component[] };
export function debianComponents(listed: string): Component[];
