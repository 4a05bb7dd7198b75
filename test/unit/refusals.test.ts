import { readFileSync } from 'node:fs';
import { buildSchema, isInputObjectType, isObjectType } from 'graphql';
import { expect, it } from 'vitest';
import { operationOf, REFUSAL_SAMPLE, REFUSALS } from '../support/refusals.ts';

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));

it('test/support/refusals.ts has a row for every argument and input field of the schema, and for no other', () => {
  const coordinates = Object.values(schema.getTypeMap()).flatMap((type) => {
    if (type.name.startsWith('__')) return [];
    if (isInputObjectType(type))
      return Object.keys(type.getFields()).map((field) => `${type.name}.${field}`);
    if (!isObjectType(type)) return [];
    return Object.values(type.getFields()).flatMap(({ name, args }) =>
      args.map((argument) => `${type.name}.${name}(${argument.name}:)`),
    );
  });
  expect([...new Set(REFUSALS.map(({ at }) => at))].sort()).toEqual(coordinates.sort());
});

it('the sample of refusals has every operation that takes arguments', () => {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const operations = roots
    .flatMap((root) => Object.values(root?.getFields() ?? {}))
    .flatMap(({ name, args }) => (args.length > 0 ? [name] : []));
  expect([...new Set(REFUSAL_SAMPLE.map(({ query }) => operationOf(query)))].sort()).toEqual(
    operations.sort(),
  );
});
