/** What one GraphQL document may ask, and from where. */
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
    'How many lexical tokens one GraphQL document may have; its variables do not count.',
  ),
  maxQueryCost: limit(
    'MAX_QUERY_COST',
    100_000,
    'What one GraphQL document may cost, as GraphQL Armor counts: 1 a scalar, 2 an object, times 1.5 for each level, times a `first` that is no variable.',
  ),
  introspection: choice({
    name: 'INTROSPECTION',
    text: 'Whether the schema is told to who asks for it: `on` or `off`.',
    words: ['on', 'off'],
    fallback: 'on',
    allowed: 'on or off',
  }),
  corsOrigins: optional<readonly string[], readonly string[]>({
    name: 'CORS_ORIGINS',
    text: "Origins whose pages may call the API and open WebSockets, with commas between them; those of the gateway's own host (as the `Host` header has it) may always.",
    whenUnset: 'none',
    unset: [],
    allowed: 'origins such as https://app.example.com, with commas between them',
    parse: (given) => {
      const origins = given.split(',').map((part) => part.trim());
      return origins.every(isOrigin) ? origins : undefined;
    },
  }),
};

function limit(name: string, fallback: number, text: string) {
  return integer({ name, text, fallback, min: 1, max: 1_000_000 });
}

/** Scheme, host and port, as a browser sends it. */
function isOrigin(text: string): boolean {
  const url = parseUrl(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}
