import { GraphQLError } from 'graphql';
import { builder } from './builder.ts';

/** RFC 3339 with its offset: a time without one would mean another instant on each machine. */
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

builder.scalarType('DateTime', {
  description:
    'A point in time: RFC 3339, given in UTC with milliseconds (`2026-01-31T12:00:00.000Z`), taken with any offset.',
  serialize: (value) => value.toISOString(),
  parseValue: parseTime,
});

builder.scalarType('JSON', {
  description: 'Any JSON value, as it is.',
  serialize: (value) => value,
  parseValue: refuseInput,
});

function parseTime(value: unknown): Date {
  const time = typeof value === 'string' && RFC_3339.test(value) ? new Date(value) : null;
  if (time !== null && !Number.isNaN(time.getTime())) return time;
  throw new GraphQLError('A DateTime is text such as "2026-01-31T12:00:00Z", with its offset.', {
    extensions: { code: 'BAD_USER_INPUT' },
  });
}

function refuseInput(): never {
  throw new GraphQLError('JSON is for output only.');
}
