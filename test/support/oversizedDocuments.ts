/** Valid documents, each over one of the default limits (src/config/queries.ts). */

export interface OversizedDocument {
  readonly of: string;
  readonly query: string;
  readonly message: RegExp;
}

/** Outputs have a field for their execution, so the two can be nested without end. */
function nested(levels: number, leaf: string): string {
  if (levels === 0) return leaf;
  return `outputs { ... on ExecutionFinished { execution { ${nested(levels - 1, leaf)} } } }`;
}

const repeated = (count: number, field: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => field(index)).join(' ');

export const OVERSIZED_DOCUMENTS: readonly OversizedDocument[] = [
  {
    of: 'MAX_QUERY_DEPTH',
    query: `{ execution(id: "x") { ${nested(6, 'status')} } }`,
    message: /depth limit of 12 exceeded, found 14/,
  },
  {
    of: 'MAX_QUERY_ALIASES',
    query: `{ ${repeated(31, (index) => `a${index}: viewer { tenant }`)} }`,
    message: /Aliases limit of 30 exceeded, found 31/,
  },
  {
    of: 'MAX_QUERY_DIRECTIVES',
    query: `{ viewer { ${repeated(51, () => 'tenant @include(if: true)')} } }`,
    message: /Directives limit of 50 exceeded, found 51/,
  },
  {
    of: 'MAX_QUERY_TOKENS',
    query: `{ viewer { ${repeated(5_000, () => 'tenant')} } }`,
    message: /5000 tokens/,
  },
  {
    of: 'MAX_QUERY_COST',
    query: `{ executions(userUuid: "x", first: 1000) { edges { node { ${repeated(50, () => 'status')} } } } }`,
    message: /Cost limit of 100000 exceeded, found \d+/,
  },
];
