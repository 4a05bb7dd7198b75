/** Bad input for the operations on environments: rows of refusals.ts. */
import { BAD_CURSORS, BAD_PAGE_SIZES, BAD_SEQS, type BadValue, MISSING } from './badValues.ts';
import { type Refusal, rows } from './refusal.ts';

const CREATE =
  'mutation ($value: CreateEnvironmentInput!) { createEnvironment(input: $value) { name } }';

const create = (field: string, bad: readonly BadValue[], beside: object = {}) =>
  rows(`CreateEnvironmentInput.${field}`, CREATE, bad, {
    given: (value) => ({ name: 'a', preload: ['json'], ...beside, [field]: value }),
  });

const REMOVE =
  'mutation ($value: RemoveEnvironmentInput!) { removeEnvironment(input: $value) { name } }';

const BAD_NAMES: readonly BadValue[] = [
  { what: 'is empty', value: '', field: 'name' },
  { what: 'is too long', value: 'a'.repeat(64), field: 'name' },
  { what: 'is in capital letters', value: 'A', field: 'name' },
  { what: 'ends with a dash', value: 'a-', field: 'name' },
  { what: 'would leave its folder', value: '../a', field: 'name' },
  { what: 'holds U+0000', value: 'a\u0000', field: 'name' },
  { what: 'is no text', value: 7 },
];
const badEntries = (field: string, values: readonly string[]): readonly BadValue[] => [
  ...values.map((value) => ({ what: `has ${JSON.stringify(value)}`, value: [value], field })),
  { what: 'has too many entries', value: Array(1_001).fill('a1'), field, limit: 1_000 },
  { what: 'is no list of texts', value: [7] },
];
const BAD_VERSION: readonly BadValue[] = [{ what: 'is no number', value: 'newest' }];

export const ENVIRONMENT_REFUSALS: readonly Refusal[] = [
  ...rows('Mutation.createEnvironment(input:)', CREATE, [MISSING]),
  ...create('name', [MISSING, ...BAD_NAMES]),
  ...create(
    'apt',
    badEntries('apt', ['', '-o', 'a b', 'jq-', 'jq; reboot', '$(id)', 'a\nRUN id', 'jq=1 -f']),
  ),
  ...create(
    'pip',
    badEntries('pip', [
      '--index-url http://a',
      '-r /etc/passwd',
      '-e .',
      'a\u0000',
      'a\u0007',
      'a @ git+https://token@host/a',
    ]),
  ),
  ...create(
    'index',
    [
      { what: 'is no URL', value: 'wheels', field: 'index' },
      { what: 'is of another protocol', value: 'file:///wheels', field: 'index' },
      { what: 'has a password', value: 'https://ann:pw@index.example/', field: 'index' },
      { what: 'would end its word', value: "https://index.example/'$(id)'", field: 'index' },
      { what: 'is a folder that is not there', value: '/nowhere/at/all', field: 'index' },
      { what: 'is no text', value: 7 },
    ],
    { pip: ['alpha'] },
  ),
  ...create('index', [{ what: 'is without pip', value: 'https://index.example/', field: 'index' }]),
  ...create('setup', [
    { what: 'is too long', value: 'a'.repeat(262_145), field: 'setup', limit: 262_144 },
    { what: 'holds U+0000', value: 'a\u0000', field: 'setup' },
    { what: 'is no text', value: 7 },
  ]),
  ...create('preload', badEntries('preload', ['', '-c', 'a b', 'a;b', 'a..b', '1a'])),
  ...create('preload', [{ what: 'is empty, and there is nothing else', value: [], field: 'name' }]),
  ...create('rebuild', [{ what: 'is no boolean', value: 'yes' }]),
  ...rows('Mutation.removeEnvironment(input:)', REMOVE, [MISSING]),
  ...rows('RemoveEnvironmentInput.name', REMOVE, [MISSING, ...BAD_NAMES], {
    given: (name) => ({ name }),
  }),
  ...rows(
    'Query.environments(first:)',
    'query ($value: Int) { environments(first: $value) { pageInfo { endCursor } } }',
    BAD_PAGE_SIZES,
  ),
  ...rows(
    'Query.environments(after:)',
    'query ($value: String) { environments(after: $value) { pageInfo { endCursor } } }',
    BAD_CURSORS,
  ),
  ...rows(
    'Query.environment(name:)',
    'query ($value: String!) { environment(name: $value) { name } }',
    [MISSING, ...BAD_NAMES],
  ),
  ...rows(
    'Query.environment(version:)',
    'query ($value: Int) { environment(name: "a", version: $value) { name } }',
    BAD_VERSION,
  ),
  ...rows(
    'Subscription.environmentBuild(name:)',
    'subscription ($value: String!) { environmentBuild(name: $value) { seq } }',
    [MISSING, ...BAD_NAMES],
  ),
  ...rows(
    'Subscription.environmentBuild(version:)',
    'subscription ($value: Int) { environmentBuild(name: "a", version: $value) { seq } }',
    BAD_VERSION,
  ),
  ...rows(
    'Subscription.environmentBuild(after:)',
    'subscription ($value: Int) { environmentBuild(name: "a", after: $value) { seq } }',
    BAD_SEQS,
  ),
];
