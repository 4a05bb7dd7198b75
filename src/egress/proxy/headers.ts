/** Which headers a proxy passes on (RFC 9110, 7.6.1). */

/** Headers that are valid for one connection only, or that the proxy sets itself. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
  'content-length',
]);

/**
 * The headers to forward, in their order, as alternating names and values. Left out are headers of one connection,
 * headers that `Connection` names, `Host`, and the headers for the length of the body.
 */
export function passedOn(rawHeaders: readonly string[]): string[] {
  const pairs = pairsOf(rawHeaders);
  const named = new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) => value.split(',').map((word) => word.trim().toLowerCase())),
  );
  return pairs
    .filter(([name]) => !NOT_PASSED.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .flat();
}

function pairsOf(rawHeaders: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    pairs.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '']);
  return pairs;
}
