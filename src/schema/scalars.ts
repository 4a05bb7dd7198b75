/** Both scalars are for output only: nothing takes them as an argument. */
import { GraphQLError } from 'graphql';
import { builder } from './builder.ts';

builder.scalarType('DateTime', {
  description: 'A point in time: RFC 3339, UTC, with milliseconds (`2026-01-31T12:00:00.000Z`).',
  serialize: (value) => value.toISOString(),
  parseValue: refuseInput,
});

builder.scalarType('JSON', {
  description: 'Any JSON value, as it is.',
  serialize: (value) => value,
  parseValue: refuseInput,
});

function refuseInput(): never {
  throw new GraphQLError('This scalar is for output only.');
}
