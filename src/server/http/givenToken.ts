/** The token that a caller shows, right or wrong. */
export interface Given {
  readonly secret: string;
  /** Whether it stands in the URL, where proxies and histories keep it. */
  readonly isInUrl: boolean;
}

type Names = Readonly<Record<string, unknown>>;

/** The token in headers or `connectionParams`. `X-Auth-Token` takes precedence over `Authorization`. */
export function tokenIn(names: Names): Given | null {
  const secret = textOf(names, 'x-auth-token') ?? bearerIn(textOf(names, 'authorization'));
  return secret === null ? null : { secret, isInUrl: false };
}

/** @param wanted in lower case */
export function textOf(names: Names, wanted: string): string | null {
  // Node's headers are already in lower case. `connectionParams` are as the client wrote them.
  const direct = names[wanted];
  if (typeof direct === 'string') return direct;
  for (const [name, value] of Object.entries(names))
    if (typeof value === 'string' && name.toLowerCase() === wanted) return value;
  return null;
}

function bearerIn(value: string | null): string | null {
  return /^Bearer +(.+)$/i.exec(value ?? '')?.[1]?.trim() ?? null;
}
