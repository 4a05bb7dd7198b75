/** Bad input for the operations on quotas: rows of refusals.ts. */
import { BAD_USER_UUIDS, type BadValue, MISSING } from './badValues.ts';
import { type Refusal, rows } from './refusal.ts';
import { badWord } from './tokenRefusals.ts';

const SET = 'mutation ($value: SetQuotaInput!) { setQuota(input: $value) { kind } }';

const set = (field: string, bad: readonly BadValue[]) =>
  rows(`SetQuotaInput.${field}`, SET, bad, {
    given: (value) => ({ kind: 'OPEN_SESSIONS', [field]: value }),
  });

const list = (name: string, bad: readonly BadValue[]) =>
  rows(
    `Query.quotas(${name}:)`,
    `query ($value: String) { quotas(${name}: $value) { kind } }`,
    bad,
  );

export const QUOTA_REFUSALS: readonly Refusal[] = [
  ...rows('Mutation.setQuota(input:)', SET, [MISSING]),
  ...set('kind', [MISSING, { what: 'is none of its values', value: 'MONEY' }]),
  ...set('limit', [
    { what: 'is negative', value: -1, field: 'limit' },
    { what: 'has a fraction', value: 1.5 },
    { what: 'is too high', value: 1_000_000_000_000_001, field: 'limit' },
    { what: 'is no number', value: 'many' },
  ]),
  ...set('reset', [{ what: 'is no boolean', value: 'yes' }]),
  ...rows('SetQuotaInput.reset', SET, [{ what: 'comes with a limit', value: 5, field: 'limit' }], {
    given: (limit) => ({ kind: 'OPEN_SESSIONS', reset: true, limit }),
  }),
  ...set('tenant', badWord('tenant')),
  ...set('userUuid', BAD_USER_UUIDS),
  ...list('tenant', badWord('tenant')),
  ...list('userUuid', BAD_USER_UUIDS),
];
