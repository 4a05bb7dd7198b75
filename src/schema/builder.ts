/**
 * The schema builder, and the parts that subjects share: scalars, inputs that several subjects use, and lists in pages.
 * Each other file of this folder defines one subject.
 */
import SchemaBuilder from '@pothos/core';
import { GraphQLError } from 'graphql';
import type { ListPage } from '../service/lists/lists.ts';
import type { SchemaContext } from './context.ts';

interface SchemaTypes {
  Context: SchemaContext;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    Int53: { Input: number; Output: number };
    JSON: { Input: unknown; Output: unknown };
  };
}

export const builder = new SchemaBuilder<SchemaTypes>({ defaultFieldNullability: false });

builder.queryType({ description: 'Reads. The result for an unknown id is null.' });
builder.mutationType({
  description:
    'Commands. Each takes one `input`, and answers when its effect is stored. An unknown id gives the error NOT_FOUND.',
});
builder.subscriptionType({
  description:
    'Live views, over graphql-ws or server-sent events on the same path. If a client reads slowly, the server waits and drops nothing.',
});

/** RFC 3339 with an offset. A time without an offset would mean different instants on different machines. */
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * The allowed times: the years 1 to 9999, without the first and the last day, because queries add some slack.
 * PostgreSQL has no year 0, and RFC 3339 has no year of five digits.
 */
const FIRST_TIME_MS = Date.parse('0001-01-02T00:00:00.000Z');
const LAST_TIME_MS = Date.parse('9999-12-30T23:59:59.999Z');

builder.scalarType('DateTime', {
  description:
    'A point in time in RFC 3339. Results are in UTC with milliseconds (`2026-01-31T12:00:00.000Z`). Arguments may have any offset.',
  serialize: (value) => value.toISOString(),
  parseValue: parseTime,
});

builder.scalarType('Int53', {
  description:
    'A whole number from -(2^53 - 1) to 2^53 - 1, for values that do not fit `Int`, such as bytes and long times. It is a JSON number, which JavaScript reads exactly.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc7493#section-2.2',
  serialize: (value) =>
    Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Math.round(value))),
  parseValue: parseWhole,
});

builder.scalarType('JSON', {
  description:
    "Any JSON value. Whole numbers have all their digits, but JavaScript's `JSON.parse` rounds numbers above 2^53.",
  serialize: (value) => value,
});

/** The argument `at` of queries for an earlier time. */
export const AT = {
  type: 'DateTime',
  required: true,
  description: 'The time, by the clock of the database. Events recorded until then count.',
} as const;

/** The argument and input field that names a user. */
export const USER = {
  required: true,
  description:
    'The user: any name that your program gives them, of 1 to 128 characters. It need not be a UUID.',
} as const;

export const ContentInput = builder.inputType('ContentInput', {
  description: 'Content, either as text or as bytes: exactly one of the two.',
  isOneOf: true,
  fields: (t) => ({
    text: t.string({ description: 'The content as text, which becomes UTF-8.' }),
    base64: t.string({
      description: 'The content as bytes, in base64 (RFC 4648, section 4), padded, on one line.',
    }),
  }),
});

function parseWhole(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new GraphQLError(
    'An Int53 must be a whole number from -(2^53 - 1) to 2^53 - 1, without a fraction.',
    { extensions: { code: 'BAD_USER_INPUT' } },
  );
}

function parseTime(value: unknown): Date {
  const ms =
    typeof value === 'string' && RFC_3339.test(value) && isDay(value)
      ? Date.parse(value)
      : Number.NaN;
  if (ms >= FIRST_TIME_MS && ms <= LAST_TIME_MS) return new Date(ms);
  throw new GraphQLError(
    'A DateTime must be a string such as "2026-01-31T12:00:00Z", with an offset and an existing day.',
    { extensions: { code: 'BAD_USER_INPUT' } },
  );
}

/** Whether the day exists. `Date` alone would accept the 30th of February, as a day in March. */
function isDay(text: string): boolean {
  const day = text.slice(0, 'yyyy-mm-dd'.length);
  const ms = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day);
}

// Lists in pages, like Relay's connections: `edges { cursor node }` and `pageInfo`. They can only be read forwards.

const PageInfo = builder.objectRef<ListPage<unknown>>('PageInfo').implement({
  description: 'Where a page begins and ends, and whether another follows.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether another page follows.' }),
    hasPreviousPage: t.boolean({
      description: 'Always false, because lists can only be read forwards.',
      resolve: () => false,
    }),
    startCursor: t.string({
      nullable: true,
      description: 'The cursor of the first edge. Null if the page is empty.',
      resolve: ({ edges }) => edges[0]?.cursor ?? null,
    }),
    endCursor: t.string({
      nullable: true,
      description:
        'The cursor of the last edge, for `after` of the next page. Null if the page is empty.',
      resolve: ({ edges }) => edges.at(-1)?.cursor ?? null,
    }),
  }),
});

type Ref<T> = ReturnType<ReturnType<typeof builder.objectRef<T>>['implement']>;

/** Defines `<name>Connection` and `<name>Edge` for pages of `node`. */
export function connectionOf<T>(name: string, node: Ref<T>) {
  const Edge = builder.objectRef<ListPage<T>['edges'][number]>(`${name}Edge`).implement({
    description: 'An item of a list, and its place there.',
    fields: (t) => ({
      cursor: t.exposeString('cursor', {
        description: 'The place in the list. As `after`, it gives the items that follow.',
      }),
      node: t.field({
        type: node,
        description: 'The item.',
        resolve: ({ item }) => item as never,
      }),
    }),
  });
  return builder.objectRef<ListPage<T>>(`${name}Connection`).implement({
    description: 'A page of a list.',
    fields: (t) => ({
      edges: t.field({
        type: [Edge],
        description: 'The items of this page.',
        resolve: async ({ edges }, _args, context, info) => context.answer(info).listItems(edges),
      }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'The cursors of this page, and whether another follows.',
        resolve: (page) => page,
      }),
    }),
  });
}

/** The arguments that every list takes. */
export const pageArgs = builder.args((t) => ({
  first: t.int({ description: 'The largest number of items, 1 to 1,000. Default 100.' }),
  after: t.string({ description: 'Only items after this cursor.' }),
}));
