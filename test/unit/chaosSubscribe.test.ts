/** The parts of an output that a subscriber of a chaos run keeps. */
import { GraphQLEnumType } from 'graphql';
import { expect, it } from 'vitest';
import { itemOf } from '../../chaos/clients/subscribe.ts';
import { schema } from '../../src/schema/index.ts';

it('every reason of a gap is kept as the database has it', () => {
  const reasons = schema.getType('GapReason');
  if (!(reasons instanceof GraphQLEnumType)) throw new Error('GapReason is not an enum.');
  const event = { __typename: 'GapOutput', executionId: 'x', seq: 1 };
  for (const { name, value } of reasons.getValues())
    expect(itemOf({ ...event, reason: name })).toMatchObject({ kind: 'gap', text: value });
});
