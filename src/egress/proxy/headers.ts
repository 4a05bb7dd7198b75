/** Which headers a proxy passes on (RFC 9110, 7.6.1). */

/** Of one connection only, or made anew here. */
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
 * The headers that are passed on, in their order, as names and values by turns. Left out are those of one connection, those
 * that `Connection` names, `Host`, and what says how long the body is.
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
