/** Bad input for the operations on tokens: rows of refusals.ts. */
import {
  BAD_CURSORS,
  BAD_IDS,
  BAD_PAGE_SIZES,
  BAD_TIMES,
  BAD_USER_UUIDS,
  type BadValue,
  badText,
  LIMITS,
  MISSING,
} from './badValues.ts';
import { type Refusal, rows } from './refusal.ts';

const CREATE =
  'mutation ($value: CreateTokenInput!) { createToken(input: $value) { token { id } } }';

const ROTATE =
  'mutation ($value: RotateTokenInput!) { rotateToken(input: $value) { token { id } } }';
const REVOKE = 'mutation ($value: RevokeTokenInput!) { revokeToken(input: $value) { id } }';

const create = (field: string, bad: readonly BadValue[], beside: object = {}) =>
  rows(`CreateTokenInput.${field}`, CREATE, bad, {
    given: (value) => ({ name: 'a', role: 'TENANT', ...beside, [field]: value }),
  });

export const badWord = (field: string): readonly BadValue[] => [
  { what: 'is empty', value: '', field },
  { what: 'is too long', value: 'a'.repeat(65), field, limit: 64 },
  { what: 'has a space', value: 'a b', field },
  { what: 'holds U+0000', value: 'a\u0000', field },
  { what: 'is no text', value: 7 },
];

export const TOKEN_REFUSALS: readonly Refusal[] = [
  ...rows('Mutation.createToken(input:)', CREATE, [MISSING]),
  ...create('name', [MISSING, ...badWord('name')]),
  ...create('role', [
    MISSING,
    { what: 'is none of its values', value: 'ROOT' },
    { what: 'is USER without a user', value: 'USER', field: 'role' },
  ]),
  ...create('tenant', badWord('tenant')),
  ...create('userUuid', BAD_USER_UUIDS, { role: 'USER' }),
  ...create('userUuid', [
    { what: 'is given for another role than USER', value: 'ann', field: 'role' },
  ]),
  ...create('userPrefix', badText('userPrefix', LIMITS.userUuidChars), { role: 'USER' }),
  ...create('userPrefix', [{ what: 'is given beside userUuid', value: 'a', field: 'role' }], {
    role: 'USER',
    userUuid: 'ann',
  }),
  ...create('door', [
    { what: 'is no door', value: 'BACK' },
    { what: 'is a door of nobody with a token', value: 'CLI', field: 'door' },
  ]),
  ...create('expiresAt', [
    ...BAD_TIMES,
    { what: 'is over', value: '2020-01-01T00:00:00Z', field: 'expiresAt' },
  ]),
  ...rows('Mutation.rotateToken(input:)', ROTATE, [MISSING]),
  ...rows('RotateTokenInput.id', ROTATE, [MISSING, ...BAD_IDS], { given: (id) => ({ id }) }),
  ...rows(
    'RotateTokenInput.formerValidMs',
    ROTATE,
    [
      { what: 'is negative', value: -1, field: 'formerValidMs' },
      { what: 'is more than 30 days', value: 2_592_000_001, field: 'formerValidMs' },
      { what: 'has a fraction', value: 0.5 },
      { what: 'is no number', value: 'a day' },
    ],
    { given: (formerValidMs) => ({ id: 'a', formerValidMs }) },
  ),
  ...rows('Mutation.revokeToken(input:)', REVOKE, [MISSING]),
  ...rows('RevokeTokenInput.id', REVOKE, [MISSING, ...BAD_IDS], { given: (id) => ({ id }) }),
  ...rows(
    'Query.tokens(first:)',
    'query ($value: Int) { tokens(first: $value) { pageInfo { endCursor } } }',
    BAD_PAGE_SIZES,
  ),
  ...rows(
    'Query.tokens(after:)',
    'query ($value: String) { tokens(after: $value) { pageInfo { endCursor } } }',
    BAD_CURSORS,
  ),
];
