import { parseTarget, type Target } from '../../domain/egress/target.ts';

/** What a request to a proxy asks for. */
export interface AskedUrl {
  readonly target: Target;
  /** Path and query, as the host gets them. */
  readonly path: string;
}

/** Nothing that a URL needs to escape, and no backslash, which some programs read as a slash. */
const ABSOLUTE = /^http:\/\/([^/?#\\]*)((?:[/?][!-"$-[\]-~]*)?)$/i;

/** What an absolute URL asks for. Null if it is none, or not one of plain HTTP. */
export function parseAskedUrl(url: string): AskedUrl | null {
  const [, authority = '', rest = ''] = ABSOLUTE.exec(url) ?? [];
  const target = parseTarget(authority, 80);
  return target && { target, path: rest.startsWith('/') ? rest : `/${rest}` };
}
