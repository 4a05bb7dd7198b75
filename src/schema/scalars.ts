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
