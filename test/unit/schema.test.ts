import { readFileSync } from 'node:fs';
import {
  buildSchema,
  type GraphQLField,
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isNonNullType,
  isObjectType,
  parse,
  printSchema,
  validate,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { schema } from '../../src/schema/index.ts';

const core = buildSchema(readFileSync('test/fixtures/schema-core.graphql', 'utf8'));

/** The names in this type that a client can use, each with its type. */
function names(type: GraphQLNamedType): string[] {
  if (isEnumType(type)) return type.getValues().map(({ name }) => `${type.name}.${name}`);
  if (isInputObjectType(type))
    return Object.values(type.getFields()).map(
      ({ name, type: of }) => `${type.name}.${name}: ${of}`,
    );
  if (!isObjectType(type) && !isInterfaceType(type)) return [`scalar ${type.name}`];
  return [
    ...type.getInterfaces().map(({ name }) => `${type.name} implements ${name}`),
    ...Object.values(type.getFields()).flatMap((field) => fieldNames(type.name, field)),
  ];
}

function fieldNames(typeName: string, field: GraphQLField<unknown, unknown>): string[] {
  const path = `${typeName}.${field.name}`;
  return [
    `${path}: ${field.type}`,
    ...field.args.map(
      ({ name, type, defaultValue }) => `${path}(${name}: ${type} = ${defaultValue})`,
    ),
  ];
}

const ownTypes = Object.values(schema.getTypeMap()).filter(
  ({ name }) =>
    !name.startsWith('__') && !['String', 'Int', 'Float', 'Boolean', 'ID'].includes(name),
);

describe('the schema', () => {
  it('has every name of the core schema, with the same type', () => {
    const have = new Set(Object.values(schema.getTypeMap()).flatMap(names));
    const wanted = Object.values(core.getTypeMap())
      .filter(({ name }) => !name.startsWith('__'))
      .flatMap(names);
    expect(wanted.length).toBeGreaterThan(100);
    expect(wanted.filter((name) => !have.has(name))).toEqual([]);
  });

  it('requires no argument and no input field that is optional in the core schema', () => {
    const required = Object.values(schema.getTypeMap())
      .flatMap(names)
      .filter((line) => /\(\w+: .*! = undefined\)$|^\w+Input\.\w+: .*!$/.test(line));
    const known = new Set(Object.values(core.getTypeMap()).flatMap(names));
    const coreFields = new Set([...known].map((line) => line.split(/[(:]/)[0]));
    const ofCore = required.filter((line) => coreFields.has(line.split(/[(:]/)[0]));
    expect(ofCore.length).toBeGreaterThan(10);
    expect(ofCore.filter((line) => !known.has(line))).toEqual([]);
  });

  it('describes every type, field, argument and value', () => {
    const bare = ownTypes.flatMap((type) => [
      ...(type.description ? [] : [type.name]),
      ...partsOf(type)
        .filter(({ description }) => !description)
        .map(({ name }) => `${type.name}.${name}`),
    ]);
    expect(bare).toEqual([]);
  });

  it('has no Float: whole numbers are Int or Int53', () => {
    expect(printSchema(schema)).not.toMatch(/\bFloat\b/);
  });

  it('takes one input for each mutation, and answers it with an object', () => {
    const mutations = Object.values(schema.getMutationType()?.getFields() ?? {});
    expect(mutations.length).toBeGreaterThan(20);
    for (const { name, args, type } of mutations) {
      const own = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
      const input = name === 'submit' ? 'ExecuteInput' : own;
      expect(args.map((each) => `${each.name}: ${each.type}`)).toEqual([`input: ${input}!`]);
      expect(isNonNullType(type) && isObjectType(type.ofType), name).toBe(true);
    }
  });

  it.each(['1.5', '9007199254740992', '-9007199254740992', '"7"', 'true'])(
    'refuses %s where it takes an Int53',
    (value) => {
      const query = `mutation { extendSession(input: { userUuid: "a", lifeMs: ${value} }) { id } }`;
      expect(validate(schema, parse(query))).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT' } },
      ]);
    },
  );

  it('is the one in schema.graphql', () => {
    expect(readFileSync('schema.graphql', 'utf8')).toBe(`${printSchema(schema)}\n`);
  });
});

function partsOf(type: GraphQLNamedType) {
  if (isEnumType(type)) return type.getValues();
  if (isInputObjectType(type)) return Object.values(type.getFields());
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.values(type.getFields()).flatMap((field) => [field, ...field.args]);
}
