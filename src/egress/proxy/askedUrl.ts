import { parseTarget, type Target } from '../../domain/egress.ts';

/** The parsed URL of a request to the proxy. */
export interface AskedUrl {
  readonly target: Target;
  /** The path and query that are sent to the host. */
  readonly path: string;
}

/** Allows no character that a URL must escape, and no backslash, which some programs read as a slash. */
const ABSOLUTE = /^http:\/\/([^/?#\\]*)((?:[/?][!-"$-[\]-~]*)?)$/i;

/** Parses an absolute URL. Null if it is not absolute, or its scheme is not `http`. */
export function parseAskedUrl(url: string): AskedUrl | null {
  const [, authority = '', rest = ''] = ABSOLUTE.exec(url) ?? [];
  const target = parseTarget(authority, 80);
  return target && { target, path: rest.startsWith('/') ? rest : `/${rest}` };
}
