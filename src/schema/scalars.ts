/** Scalars, and the arguments and input types that several files share. */
import { GraphQLError } from 'graphql';
import { builder } from './builder.ts';

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
    'A whole number from -(2^53 - 1) to 2^53 - 1: what `Int` cannot hold, such as bytes and long times. In JSON it is a number, which JavaScript reads exactly.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc7493#section-2.2',
  serialize: (value) =>
    Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Math.round(value))),
  parseValue: parseWhole,
});

builder.scalarType('JSON', {
  description:
    "Any JSON value. Whole numbers have all their digits, but JavaScript's `JSON.parse` rounds those above 2^53.",
  serialize: (value) => value,
});

/** The argument `at` of queries for an earlier time. */
export const AT = {
  type: 'DateTime',
  required: true,
  description: 'The time, by the clock of the database. Events recorded by then count.',
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
