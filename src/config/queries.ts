/** Limits of one GraphQL document, and the origins that may send it. */
import { choice, integer, optional, parseUrl } from './setting.ts';

export const QUERIES = {
  maxQueryDepth: limit(
    'MAX_QUERY_DEPTH',
    12,
    'How many levels of fields one GraphQL document may have.',
  ),
  maxQueryAliases: limit(
    'MAX_QUERY_ALIASES',
    30,
    'How many aliases one GraphQL document may have.',
  ),
  maxQueryDirectives: limit(
    'MAX_QUERY_DIRECTIVES',
    50,
    'How many directives one GraphQL document may have.',
  ),
  maxQueryTokens: limit(
    'MAX_QUERY_TOKENS',
    5_000,
    'How many lexical tokens one GraphQL document may have, without its variables.',
  ),
  maxQueryCost: limit(
    'MAX_QUERY_COST',
    100_000,
    'The highest cost of one GraphQL document. GraphQL Armor computes the cost: 1 for each scalar and 2 for each object, multiplied by 1.5 for each level, and by the value of `first` unless that is a variable.',
  ),
  introspection: choice({
    name: 'INTROSPECTION',
    text: 'Whether clients may read the schema by introspection: `on` or `off`.',
    words: ['on', 'off'],
    fallback: 'on',
    allowed: 'on or off',
  }),
  corsOrigins: optional<readonly string[], readonly string[]>({
    name: 'CORS_ORIGINS',
    text: "Origins whose pages may call the API and open WebSockets, separated by commas. Pages of the gateway's own host (as in the `Host` header) always may.",
    whenUnset: 'none',
    unset: [],
    allowed: 'origins such as https://app.example.com, separated by commas',
    parse: (given) => {
      const origins = given.split(',').map((part) => part.trim());
      return origins.every(isOrigin) ? origins : undefined;
    },
  }),
};

function limit(name: string, fallback: number, text: string) {
  return integer({ name, text, fallback, min: 1, max: 1_000_000 });
}

/** Whether the text is scheme, host and port only, as in a browser's `Origin` header. */
function isOrigin(text: string): boolean {
  const url = parseUrl(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}
