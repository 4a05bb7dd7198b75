/**
 * Rows of refusals.ts: operations that are refused because of one of their arguments. Those here are about input,
 * terminals, environments, tokens and quotas.
 */
import {
  BAD_CURSORS,
  BAD_FLAGS,
  BAD_IDS,
  BAD_OFFSETS,
  BAD_PAGE_SIZES,
  BAD_SEQS,
  BAD_TIMES,
  BAD_USER_UUIDS,
  type BadValue,
  badSides,
  badText,
  LIMITS,
  MISSING,
} from './badValues.ts';

/** Ids that exist, for operations that need a valid argument beside the bad one. */
export interface Known {
  readonly executionId: string;
  readonly sessionId: string;
  readonly workerId: string;
}

export interface Refusal extends BadValue {
  readonly at: string;
  readonly query: string;
  /** The name of the id that is passed as `$known`. */
  readonly beside?: keyof Known;
  /** The value of `$value`, which contains the bad value. */
  readonly given: unknown;
}

/** Makes a row for each bad value. */
export function rows(
  at: string,
  query: string,
  bad: readonly BadValue[],
  more: Pick<Refusal, 'beside'> & { readonly given?: (value: unknown) => unknown } = {},
): Refusal[] {
  const { beside, given = (value: unknown) => value } = more;
  return bad.map((each) => ({
    ...each,
    at,
    query,
    given: given(each.value),
    ...(beside && { beside }),
  }));
}

// Bad input for `sendInput` and terminals.

const SUBMIT = 'mutation ($value: ExecuteInput!) { submit(input: $value) { status } }';

const terminal = (field: 'columns' | 'rows') =>
  rows(`TerminalInput.${field}`, SUBMIT, badSides(`pty.${field}`), {
    given: (value) => ({
      userUuid: 'someone',
      code: '1',
      language: 'BASH',
      pty: { columns: 80, rows: 24, [field]: value },
    }),
  });

const SEND = 'mutation ($value: SendInputInput!) { sendInput(input: $value) { offset } }';

const sendInput = (field: string, bad: readonly BadValue[]) =>
  rows(`SendInputInput.${field}`, SEND, bad, {
    given: (value) => ({ executionId: 'a', data: { text: 'a' }, [field]: value }),
  });
/** Sends content that has only this field. */
const content = (field: 'text' | 'base64', bad: readonly BadValue[]) =>
  rows(`ContentInput.${field}`, SEND, bad, {
    given: (value) => ({ executionId: 'a', data: { [field]: value } }),
  });

const RESIZE =
  'mutation ($value: ResizeTerminalInput!) { resizeTerminal(input: $value) { resized } }';
const resize = (field: string, bad: readonly BadValue[]) =>
  rows(`ResizeTerminalInput.${field}`, RESIZE, bad, {
    given: (value) => ({ executionId: 'a', columns: 1, rows: 1, [field]: value }),
  });

export const INPUT_REFUSALS: readonly Refusal[] = [
  ...terminal('columns'),
  ...terminal('rows'),
  ...rows('Mutation.sendInput(input:)', SEND, [MISSING]),
  ...sendInput('executionId', [MISSING, ...BAD_IDS]),
  ...sendInput('offset', BAD_OFFSETS),
  ...sendInput('data', [
    { what: 'is missing, and nothing is closed', value: undefined, field: 'text' },
    { what: 'is neither text nor base64', value: {} },
    { what: 'is both text and base64', value: { text: 'a', base64: 'YQ==' } },
    { what: 'is null as text', value: { text: null } },
  ]),
  ...content('text', [
    { what: 'is empty', value: '', field: 'text' },
    { what: 'holds a lone surrogate', value: 'a\ud800', field: 'text' },
    {
      what: 'is too long',
      value: 'a'.repeat(LIMITS.inputCallBytes + 1),
      field: 'text',
      limit: LIMITS.inputCallBytes,
    },
    { what: 'is not text', value: 7 },
  ]),
  ...content('base64', [
    { what: 'is not padded', value: 'YQ', field: 'base64' },
    {
      what: 'is too long',
      value: Buffer.alloc(LIMITS.inputCallBytes + 1).toString('base64'),
      field: 'base64',
      limit: LIMITS.inputCallBytes,
    },
  ]),
  ...sendInput('close', BAD_FLAGS),
  ...rows('Mutation.resizeTerminal(input:)', RESIZE, [MISSING]),
  ...resize('executionId', [MISSING, ...BAD_IDS]),
  ...resize('columns', badSides('columns')),
  ...resize('rows', badSides('rows')),
];

// Bad input for the operations on environments.

const CREATE_ENVIRONMENT =
  'mutation ($value: CreateEnvironmentInput!) { createEnvironment(input: $value) { name } }';

const environment = (field: string, bad: readonly BadValue[], beside: object = {}) =>
  rows(`CreateEnvironmentInput.${field}`, CREATE_ENVIRONMENT, bad, {
    given: (value) => ({ name: 'a', preload: ['json'], ...beside, [field]: value }),
  });

const REMOVE_ENVIRONMENT =
  'mutation ($value: RemoveEnvironmentInput!) { removeEnvironment(input: $value) { name } }';

const BAD_NAMES: readonly BadValue[] = [
  { what: 'is empty', value: '', field: 'name' },
  { what: 'is too long', value: 'a'.repeat(64), field: 'name' },
  { what: 'is in capital letters', value: 'A', field: 'name' },
  { what: 'ends with a dash', value: 'a-', field: 'name' },
  { what: 'would leave its folder', value: '../a', field: 'name' },
  { what: 'holds U+0000', value: 'a\u0000', field: 'name' },
  { what: 'is not text', value: 7 },
];
const badEntries = (field: string, values: readonly string[]): readonly BadValue[] => [
  ...values.map((value) => ({ what: `has ${JSON.stringify(value)}`, value: [value], field })),
  { what: 'has too many entries', value: Array(1_001).fill('a1'), field, limit: 1_000 },
  { what: 'is not a list of texts', value: [7] },
];
const BAD_VERSION: readonly BadValue[] = [{ what: 'is not a number', value: 'newest' }];

export const ENVIRONMENT_REFUSALS: readonly Refusal[] = [
  ...rows('Mutation.createEnvironment(input:)', CREATE_ENVIRONMENT, [MISSING]),
  ...environment('name', [MISSING, ...BAD_NAMES]),
  ...environment(
    'apt',
    badEntries('apt', ['', '-o', 'a b', 'jq-', 'jq; reboot', '$(id)', 'a\nRUN id', 'jq=1 -f']),
  ),
  ...environment(
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
  ...environment(
    'index',
    [
      { what: 'is not a URL', value: 'wheels', field: 'index' },
      { what: 'is of another protocol', value: 'file:///wheels', field: 'index' },
      { what: 'has a password', value: 'https://ann:pw@index.example/', field: 'index' },
      { what: 'would end its word', value: "https://index.example/'$(id)'", field: 'index' },
      { what: 'is a folder that is not there', value: '/nowhere/at/all', field: 'index' },
      { what: 'is not text', value: 7 },
    ],
    { pip: ['alpha'] },
  ),
  ...environment('index', [
    { what: 'is without pip', value: 'https://index.example/', field: 'index' },
  ]),
  ...environment('setup', [
    { what: 'is too long', value: 'a'.repeat(262_145), field: 'setup', limit: 262_144 },
    { what: 'holds U+0000', value: 'a\u0000', field: 'setup' },
    { what: 'is not text', value: 7 },
  ]),
  ...environment('preload', badEntries('preload', ['', '-c', 'a b', 'a;b', 'a..b', '1a'])),
  ...environment('preload', [
    { what: 'is empty, and there is nothing else', value: [], field: 'name' },
  ]),
  ...environment('rebuild', [{ what: 'is not a boolean', value: 'yes' }]),
  ...rows('Mutation.removeEnvironment(input:)', REMOVE_ENVIRONMENT, [MISSING]),
  ...rows('RemoveEnvironmentInput.name', REMOVE_ENVIRONMENT, [MISSING, ...BAD_NAMES], {
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

// Bad input for the operations on tokens.

const CREATE_TOKEN =
  'mutation ($value: CreateTokenInput!) { createToken(input: $value) { token { id } } }';

const ROTATE =
  'mutation ($value: RotateTokenInput!) { rotateToken(input: $value) { token { id } } }';
const REVOKE = 'mutation ($value: RevokeTokenInput!) { revokeToken(input: $value) { id } }';

const token = (field: string, bad: readonly BadValue[], beside: object = {}) =>
  rows(`CreateTokenInput.${field}`, CREATE_TOKEN, bad, {
    given: (value) => ({ name: 'a', role: 'TENANT', ...beside, [field]: value }),
  });

export const badWord = (field: string): readonly BadValue[] => [
  { what: 'is empty', value: '', field },
  { what: 'is too long', value: 'a'.repeat(65), field, limit: 64 },
  { what: 'has a space', value: 'a b', field },
  { what: 'holds U+0000', value: 'a\u0000', field },
  { what: 'is not text', value: 7 },
];

export const TOKEN_REFUSALS: readonly Refusal[] = [
  ...rows('Mutation.createToken(input:)', CREATE_TOKEN, [MISSING]),
  ...token('name', [MISSING, ...badWord('name')]),
  ...token('role', [
    MISSING,
    { what: 'is none of its values', value: 'ROOT' },
    { what: 'is USER without a user', value: 'USER', field: 'role' },
  ]),
  ...token('tenant', badWord('tenant')),
  ...token('userUuid', BAD_USER_UUIDS, { role: 'USER' }),
  ...token('userUuid', [
    { what: 'is given for a role other than USER', value: 'ann', field: 'role' },
  ]),
  ...token('userPrefix', badText('userPrefix', LIMITS.userUuidChars), { role: 'USER' }),
  ...token('userPrefix', [{ what: 'is given beside userUuid', value: 'a', field: 'role' }], {
    role: 'USER',
    userUuid: 'ann',
  }),
  ...token('door', [
    { what: 'is not a door', value: 'BACK' },
    { what: 'is a door that takes no tokens', value: 'CLI', field: 'door' },
  ]),
  ...token('expiresAt', [
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
      { what: 'is not a number', value: 'a day' },
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

// Bad input for the operations on quotas.

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
    { what: 'is not a number', value: 'many' },
  ]),
  ...set('reset', [{ what: 'is not a boolean', value: 'yes' }]),
  ...rows('SetQuotaInput.reset', SET, [{ what: 'comes with a limit', value: 5, field: 'limit' }], {
    given: (limit) => ({ kind: 'OPEN_SESSIONS', reset: true, limit }),
  }),
  ...set('tenant', badWord('tenant')),
  ...set('userUuid', BAD_USER_UUIDS),
  ...list('tenant', badWord('tenant')),
  ...list('userUuid', BAD_USER_UUIDS),
];
