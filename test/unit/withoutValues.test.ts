/** GraphQL's own errors say what is wrong, and never repeat the given value. */
import { execute, parse, validate } from 'graphql';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { schema } from '../../src/schema/index.ts';
import { createErrorMask, withoutValues } from '../../src/server/graphql/maskErrors.ts';

const SECRET = 's3cret ": found: null.';
const NO_STRING = 'String cannot represent a non string value.';
const OPEN = 'mutation ($v: OpenSessionInput!) { openSession(input: $v) { id } }';
const LIST =
  'mutation ($v: [EnvironmentVariableInput!]) { openSession(input: { userUuid: "a", environmentVariables: $v }) { id } }';
const ONE =
  'mutation ($v: String!) { openSession(input: { userUuid: "a", environmentVariables: [{ name: "A", value: $v }] }) { id } }';

const open = (environmentVariables: unknown) => ({ userUuid: 'a', environmentVariables });

const { mask } = createErrorMask({ logger: pino({ level: 'silent' }), newErrorId: () => 'id' });

/** The messages that a caller gets. */
async function messagesOf(query: string, v: unknown): Promise<string[]> {
  const { errors = [] } = await execute({ schema, document: parse(query), variableValues: { v } });
  return errors.map((error) => mask(error).message);
}

describe('the message about a variable', () => {
  it.each([
    ['a value of another type', OPEN, open([{ name: 'A', value: [SECRET] }]), NO_STRING],
    ['a name of another type', OPEN, open([{ name: { x: SECRET }, value: '' }]), NO_STRING],
    [
      'a field that does not exist',
      OPEN,
      open([{ name: 'A', value: SECRET, more: 1 }]),
      'Field "more"',
    ],
    ['a field that is missing', OPEN, open([{ value: SECRET }]), 'Field "name" of required type'],
    ['a text in place of the list', OPEN, open(SECRET), 'to be an object'],
    ['null in the list', OPEN, open([null]), 'not to be null'],
    [
      'a list that is a variable itself',
      LIST,
      [{ name: 'A', value: SECRET, more: 1 }],
      'Field "more"',
    ],
    ['a value that is a variable itself', ONE, { x: SECRET }, NO_STRING],
  ] as const)('reports %s, without the value', async (_what, query, v, telling) => {
    const messages = await messagesOf(query, v);
    expect(messages).toEqual([expect.stringContaining(telling)]);
    expect(messages[0]).not.toContain('s3cret');
  });
});

describe('the message about a literal', () => {
  it.each([
    ['{ x: "s3cret" }', 'String cannot represent a non string value.'],
    ['["s3cret"]', 'String cannot represent a non string value.'],
    ['null', 'Expected value of type "String!".'],
  ])('%s says what is wrong, without the value', (literal, message) => {
    const query = `mutation { openSession(input: { userUuid: "a", environmentVariables: [{ name: "A", value: ${literal} }] }) { id } }`;
    const messages = validate(schema, parse(query)).map((error) => withoutValues(error.message));
    expect(messages).toEqual([message]);
  });

  it('in place of an object says what is wrong, without the value', () => {
    const query =
      'mutation { openSession(input: { userUuid: "a", environmentVariables: ["s3cret"] }) { id } }';
    const messages = validate(schema, parse(query)).map((error) => withoutValues(error.message));
    expect(messages).toEqual(['Expected value of type "EnvironmentVariableInput!".']);
  });
});

it('other messages stay as they are', () => {
  for (const message of [
    'Cannot query field "nothing" on type "Query".',
    'A DateTime must be a string such as "2026-01-31T12:00:00Z", with an offset and an existing day.',
    'Syntax Error: Expected Name, found <EOF>.',
    'Variable "$v" of required type "String!" was not provided.',
  ])
    expect(withoutValues(message)).toBe(message);
});
