/**
 * Bad input for every argument and input field of the schema. `at` is a row's schema coordinate
 * (`Type.field(argument:)` or `Input.field`): test/unit/refusals.test.ts checks that every coordinate has a row.
 * test/int/badInput.test.ts sends all rows.
 */
import {
  BAD_CODES,
  BAD_CONTEXT_NAMES,
  BAD_CURSORS,
  BAD_DIRECTORIES,
  BAD_ENVIRONMENT_NAMES,
  BAD_FLAGS,
  BAD_FURTHER_LIVES,
  BAD_HOSTS,
  BAD_IDLE_TIMES,
  BAD_IDS,
  BAD_KEEP_ALIVES,
  BAD_KEYS,
  BAD_LANGUAGES,
  BAD_LIVES,
  BAD_METADATA,
  BAD_PAGE_SIZES,
  BAD_SEQS,
  BAD_TERMINALS,
  BAD_TIMEOUTS,
  BAD_TIMES,
  BAD_USER_UUIDS,
  BAD_VARIABLE_NAMES,
  BAD_VARIABLE_VALUES,
  BAD_VARIABLES,
  BAD_WAITS,
  type BadValue,
  badChangeable,
  badPaths,
  LIMITS,
  MISSING,
} from './badValues.ts';
import {
  badWord,
  ENVIRONMENT_REFUSALS,
  INPUT_REFUSALS,
  type Known,
  QUOTA_REFUSALS,
  type Refusal,
  rows,
  TOKEN_REFUSALS,
} from './refusalRows.ts';

const SOMEONE = { userUuid: 'someone', code: '1' };
const RUN = (how: string) =>
  `mutation ($value: ExecuteInput!) { ${how}(input: $value) { status } }`;
const BATCH = 'mutation ($value: ExecuteBatchInput!) { executeBatch(input: $value) { status } }';
const OPEN = 'mutation ($value: OpenSessionInput!) { openSession(input: $value) { id } }';
const RELEASE = 'mutation ($value: ReleaseInput!) { release(input: $value) { released } }';

const run = (field: string, bad: readonly BadValue[]) =>
  ['execute', 'submit'].flatMap((how) =>
    rows(`ExecuteInput.${field}`, RUN(how), bad, {
      given: (value) => ({ ...SOMEONE, [field]: value }),
    }),
  );
const batch = (field: string, bad: readonly BadValue[]) =>
  rows(`ExecuteBatchInput.${field}`, BATCH, bad, {
    given: (value) => ({ userUuid: 'someone', cells: [{ code: '1' }], [field]: value }),
  });
/** The second cell is bad, and the first must not run either. */
const cell = (field: string, bad: readonly BadValue[]) =>
  rows(`BatchCell.${field}`, BATCH, bad, {
    given: (value) => ({
      userUuid: 'someone',
      cells: [{ code: '1' }, { code: '2', [field]: value }],
    }),
  });

const open = (field: string, bad: readonly BadValue[]) =>
  rows(`OpenSessionInput.${field}`, OPEN, bad, {
    given: (value) => ({ userUuid: 'someone', [field]: value }),
  });

/** The second variable is bad. */
const variable = (field: string, bad: readonly BadValue[]) =>
  [
    { query: OPEN, whose: { userUuid: 'someone' } },
    { query: RUN('submit'), whose: SOMEONE },
  ].flatMap(({ query, whose }) =>
    rows(`EnvironmentVariableInput.${field}`, query, bad, {
      given: (value) => ({
        ...whose,
        environmentVariables: [
          { name: 'GOOD', value: '' },
          { name: 'A', value: 'b', [field]: value },
        ],
      }),
    }),
  );

const CREATE_CONTEXT =
  'mutation ($value: CreateContextInput!) { createContext(input: $value) { id } }';
const createContext = (field: string, bad: readonly BadValue[]) =>
  rows(`CreateContextInput.${field}`, CREATE_CONTEXT, bad, {
    given: (value) => ({ userUuid: 'someone', [field]: value }),
  });

const mutations: readonly Refusal[] = [
  ...rows('Mutation.execute(input:)', RUN('execute'), [MISSING]),
  ...rows('Mutation.submit(input:)', RUN('submit'), [MISSING]),
  ...run('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...run('code', BAD_CODES),
  ...run('language', BAD_LANGUAGES),
  ...run('contextId', BAD_IDS),
  ...run('keepAlive', BAD_KEEP_ALIVES),
  ...run('stopOnError', [{ what: 'is no Boolean', value: 'yes' }]),
  ...run('environmentVariables', BAD_VARIABLES),
  ...run('workingDirectory', BAD_DIRECTORIES),
  ...run('allowInput', BAD_FLAGS),
  ...run('pty', BAD_TERMINALS),
  ...run('timeoutMs', BAD_TIMEOUTS),
  ...run('idempotencyKey', BAD_KEYS),
  ...run('waitForWorkerMs', BAD_WAITS),
  ...rows('Mutation.executeBatch(input:)', BATCH, [MISSING]),
  ...batch('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...batch('waitForWorkerMs', BAD_WAITS),
  ...batch('stopOnError', [{ what: 'is no Boolean', value: 'yes' }]),
  ...batch('cells', [
    MISSING,
    { what: 'is empty', value: [], field: 'cells', limit: LIMITS.cells },
    {
      what: 'is too long',
      value: Array.from({ length: LIMITS.cells + 1 }, () => ({ code: '1' })),
      field: 'cells',
      limit: LIMITS.cells,
    },
    { what: 'holds null', value: [null] },
  ]),
  ...cell('code', BAD_CODES),
  ...cell('language', BAD_LANGUAGES),
  ...cell('contextId', BAD_IDS),
  ...cell('keepAlive', BAD_KEEP_ALIVES),
  ...cell('environmentVariables', BAD_VARIABLES),
  ...cell('workingDirectory', BAD_DIRECTORIES),
  ...cell('allowInput', BAD_FLAGS),
  ...cell('pty', BAD_TERMINALS),
  ...cell('timeoutMs', BAD_TIMEOUTS),
  ...cell('idempotencyKey', BAD_KEYS),
  ...rows('Mutation.openSession(input:)', OPEN, [MISSING]),
  ...open('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...open('environmentVariables', BAD_VARIABLES),
  ...variable('name', BAD_VARIABLE_NAMES),
  ...variable('value', BAD_VARIABLE_VALUES),
  ...open('metadata', BAD_METADATA),
  ...open('idleTimeoutMs', BAD_IDLE_TIMES),
  ...open('maxLifeMs', BAD_LIVES),
  ...open('egressAllow', BAD_HOSTS),
  ...open('environment', BAD_ENVIRONMENT_NAMES),
  ...open('waitForWorkerMs', BAD_WAITS),
  ...rows(
    'Mutation.extendSession(userUuid:)',
    'mutation ($value: String!) { extendSession(userUuid: $value, lifeMs: 1) { id } }',
    [MISSING, ...BAD_USER_UUIDS],
  ),
  ...rows(
    'Mutation.extendSession(lifeMs:)',
    'mutation ($value: Float!) { extendSession(userUuid: "someone", lifeMs: $value) { id } }',
    [MISSING, ...BAD_FURTHER_LIVES],
  ),
  ...rows('Mutation.release(input:)', RELEASE, [MISSING]),
  ...rows('ReleaseInput.userUuid', RELEASE, [MISSING, ...BAD_USER_UUIDS], {
    given: (userUuid) => ({ userUuid }),
  }),
  ...rows(
    'Mutation.restartKernel(userUuid:)',
    'mutation ($value: String!) { restartKernel(userUuid: $value) { id } }',
    [MISSING, ...BAD_USER_UUIDS],
  ),
  ...rows(
    'Mutation.restartKernel(contextId:)',
    'mutation ($value: ID) { restartKernel(userUuid: "someone", contextId: $value) { id } }',
    BAD_IDS,
  ),
  ...rows('Mutation.createContext(input:)', CREATE_CONTEXT, [MISSING]),
  ...createContext('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...createContext('name', BAD_CONTEXT_NAMES),
  ...createContext('workingDirectory', BAD_DIRECTORIES),
  ...rows(
    'Mutation.deleteContext(userUuid:)',
    'mutation ($value: String!) { deleteContext(userUuid: $value, contextId: "a") { deleted } }',
    [MISSING, ...BAD_USER_UUIDS],
  ),
  ...rows(
    'Mutation.deleteContext(contextId:)',
    'mutation ($value: ID!) { deleteContext(userUuid: "someone", contextId: $value) { deleted } }',
    [MISSING, ...BAD_IDS],
  ),
  ...rows(
    'Mutation.interrupt(executionId:)',
    'mutation ($value: ID!) { interrupt(executionId: $value) { id } }',
    [MISSING, ...BAD_IDS],
  ),
  ...rows(
    'Mutation.interrupt(signal:)',
    'mutation ($value: InterruptSignal) { interrupt(executionId: "nothing", signal: $value) { id } }',
    [
      { what: 'is no signal for commands', value: 'SIGSTOP' },
      { what: 'is no text', value: 9 },
    ],
  ),
];

const WRITE_FILE = 'mutation ($value: WriteFileInput!) { writeFile(input: $value) { path } }';
const writeFile = (field: string, bad: readonly BadValue[], beside: object = { text: 'a' }) =>
  rows(`WriteFileInput.${field}`, WRITE_FILE, bad, {
    given: (value) => ({ userUuid: 'someone', path: 'a.txt', ...beside, [field]: value }),
  });

/** Rows for an argument of a mutation that takes several. `others`: those beside it. */
const fileChange = (name: string, argument: string, others: string, bad: readonly BadValue[]) =>
  rows(
    `Mutation.${name}(${argument}:)`,
    `mutation ($value: String!) { ${name}(${argument}: $value, ${others}) { __typename } }`,
    bad,
  );
const BAD_USERS = [MISSING, ...BAD_USER_UUIDS];
const SOMEONES = 'userUuid: "someone"';

const fileMutations: readonly Refusal[] = [
  ...rows('Mutation.writeFile(input:)', WRITE_FILE, [MISSING]),
  ...writeFile('userUuid', BAD_USERS),
  ...writeFile('path', [MISSING, ...badChangeable('path')]),
  ...writeFile('text', [
    { what: 'is missing, like base64', value: undefined, field: 'text' },
    { what: 'holds a lone surrogate', value: 'a\ud800', field: 'text' },
    { what: 'is no text', value: 7 },
  ]),
  ...writeFile('base64', [{ what: 'is given beside text', value: 'YQ==', field: 'base64' }]),
  ...writeFile(
    'base64',
    [
      { what: 'is not padded', value: 'YQ', field: 'base64' },
      { what: 'is base64url', value: '_-8=', field: 'base64' },
      { what: 'has several lines', value: 'YQ==\n', field: 'base64' },
    ],
    {},
  ),
  ...writeFile('append', [{ what: 'is no Boolean', value: 'yes' }]),
  ...fileChange('makeDirectory', 'userUuid', 'path: "d"', BAD_USERS),
  ...fileChange('makeDirectory', 'path', SOMEONES, [MISSING, ...badChangeable('path')]),
  ...fileChange('moveFile', 'userUuid', 'from: "a", to: "b"', BAD_USERS),
  ...fileChange('moveFile', 'from', `${SOMEONES}, to: "b"`, [MISSING, ...badChangeable('from')]),
  ...fileChange('moveFile', 'to', `${SOMEONES}, from: "a"`, [MISSING, ...badChangeable('to')]),
  ...rows(
    'Mutation.moveFile(overwrite:)',
    `mutation ($value: Boolean) { moveFile(${SOMEONES}, from: "a", to: "b", overwrite: $value) { path } }`,
    [{ what: 'is no Boolean', value: 'yes' }],
  ),
  ...fileChange('deleteFile', 'userUuid', 'path: "a"', BAD_USERS),
  ...fileChange('deleteFile', 'path', SOMEONES, [MISSING, ...badChangeable('path')]),
  ...fileChange('deleteFile', 'ifMatch', `${SOMEONES}, path: "a"`, [
    { what: 'has no quotes', value: '1-2', field: 'ifMatch' },
    { what: 'is a weak tag', value: 'W/"1-2"', field: 'ifMatch' },
    { what: 'has an empty part', value: '"1-2",', field: 'ifMatch' },
    { what: 'is empty', value: '', field: 'ifMatch' },
    { what: 'is no text', value: 7 },
  ]),
];

const PAGE = '{ pageInfo { endCursor } }';

/** Rows for the paging arguments that every list has. `call` is the start of the field, e.g. `sessions(`. */
function pages(field: string, call: string, beside?: keyof Known): Refusal[] {
  const declared = beside ? ', $known: ID!' : '';
  const more = beside ? { beside } : {};
  return [
    ...rows(
      `Query.${field}(first:)`,
      `query ($value: Int${declared}) { ${call}first: $value) ${PAGE} }`,
      BAD_PAGE_SIZES,
      more,
    ),
    ...rows(
      `Query.${field}(after:)`,
      `query ($value: String${declared}) { ${call}after: $value) ${PAGE} }`,
      BAD_CURSORS,
      more,
    ),
  ];
}

const list = (field: string, argument: string, type: string, bad: readonly BadValue[]) =>
  rows(
    `Query.${field}(${argument}:)`,
    `query ($value: ${type}) { ${field}(${argument}: $value) ${PAGE} }`,
    bad,
  );
const single = (call: string, type: string, at: string, bad: readonly BadValue[]) =>
  rows(at, `query ($value: ${type}) { ${call} { __typename } }`, bad);

const BAD_ENUM: readonly BadValue[] = [{ what: 'is none of its values', value: 'NONE' }];

const queries: readonly Refusal[] = [
  ...pages('executions', 'executions('),
  ...pages('sessions', 'sessions('),
  ...pages('workers', 'workers('),
  ...pages('events', 'events('),
  ...pages('workerEvents', 'workerEvents(workerId: $known, ', 'workerId'),
  ...pages('sessionEvents', 'sessionEvents(sessionId: $known, ', 'sessionId'),
  ...list('executions', 'tenant', 'String', badWord('tenant')),
  ...list('sessions', 'tenant', 'String', badWord('tenant')),
  ...list('executions', 'userUuid', 'String', BAD_USER_UUIDS),
  ...list('executions', 'status', 'ExecutionStatus', BAD_ENUM),
  ...list('executions', 'from', 'DateTime', BAD_TIMES),
  ...list('executions', 'to', 'DateTime', BAD_TIMES),
  ...list('executions', 'metadata', 'JSON', BAD_METADATA),
  ...list('sessions', 'userUuid', 'String', BAD_USER_UUIDS),
  ...list('sessions', 'metadata', 'JSON', BAD_METADATA),
  ...list('sessions', 'isOpen', 'Boolean', [{ what: 'is no Boolean', value: 'yes' }]),
  ...list('sessions', 'oldestFirst', 'Boolean', [{ what: 'is no Boolean', value: 'yes' }]),
  ...list('sessions', 'from', 'DateTime', BAD_TIMES),
  ...list('workers', 'states', '[WorkerState!]', BAD_ENUM),
  ...list('events', 'types', '[String!]', [
    { what: 'has what is no type', value: ['SessionOpened', 'Opened'], field: 'types' },
    { what: 'holds U+0000', value: ['\u0000'], field: 'types' },
    { what: 'holds null', value: [null] },
  ]),
  ...list('workerEvents', 'workerId', 'ID!', BAD_IDS),
  ...list('sessionEvents', 'sessionId', 'ID!', BAD_IDS),
  ...single('execution(id: $value)', 'ID!', 'Query.execution(id:)', BAD_IDS),
  ...single('contexts(userUuid: $value)', 'String!', 'Query.contexts(userUuid:)', BAD_USERS),
  ...single('session(userUuid: $value)', 'String!', 'Query.session(userUuid:)', BAD_USER_UUIDS),
  ...single('poolAt(at: $value)', 'DateTime!', 'Query.poolAt(at:)', BAD_TIMES),
  ...single(
    'sessionAt(userUuid: "someone", at: $value)',
    'DateTime!',
    'Query.sessionAt(at:)',
    BAD_TIMES,
  ),
  ...single(
    'sessionAt(userUuid: $value, at: "2026-01-31T12:00:00Z")',
    'String!',
    'Query.sessionAt(userUuid:)',
    BAD_USER_UUIDS,
  ),
];

const NO_INTS: readonly BadValue[] = [
  { what: 'is no Int', value: 2 ** 31 },
  { what: 'is no number', value: 'all' },
];
const content = (field: string) =>
  rows(
    `File.${field}(maxBytes:)`,
    `query ($value: Int) { file(userUuid: "someone", path: "a") { ${field}(maxBytes: $value) } }`,
    NO_INTS,
  );

const fileQueries: readonly Refusal[] = [
  ...single('file(path: "a", userUuid: $value)', 'String!', 'Query.file(userUuid:)', BAD_USERS),
  ...single('file(userUuid: "someone", path: $value)', 'String!', 'Query.file(path:)', [
    MISSING,
    ...badPaths('path'),
  ]),
  ...single('files(userUuid: $value)', 'String!', 'Query.files(userUuid:)', BAD_USERS),
  ...single(
    'files(userUuid: "someone", path: $value)',
    'String!',
    'Query.files(path:)',
    badPaths('path'),
  ),
  ...single('files(userUuid: "someone", depth: $value)', 'Int', 'Query.files(depth:)', [
    { what: 'is too little', value: 0, field: 'depth' },
    { what: 'is too much', value: 33, field: 'depth', limit: 32 },
    ...NO_INTS,
  ]),
  ...single(
    'files(userUuid: "someone", first: $value)',
    'Int',
    'Query.files(first:)',
    BAD_PAGE_SIZES,
  ),
  ...single('files(userUuid: "someone", after: $value)', 'String', 'Query.files(after:)', [
    { what: 'is empty', value: '', field: 'after' },
    { what: 'is no cursor', value: 'a cursor', field: 'after' },
    { what: 'holds U+0000', value: 'YQ\u0000', field: 'after' },
    { what: 'is longer than any cursor', value: 'YQ'.repeat(4_097), field: 'after' },
    { what: 'is no text', value: ['YQ=='] },
  ]),
  ...content('text'),
  ...content('base64'),
];

const OUTPUTS = (argument: string) =>
  `query ($value: Int, $known: ID!) { execution(id: $known) { outputs(${argument}: $value) { seq } } }`;
const executionId = { beside: 'executionId' } as const;

const outputs: readonly Refusal[] = [
  ...rows('Execution.outputs(after:)', OUTPUTS('after'), BAD_SEQS, executionId),
  ...rows(
    'Execution.outputs(first:)',
    OUTPUTS('first'),
    [
      { what: 'is negative', value: -1, field: 'first' },
      { what: 'is no Int', value: 2 ** 31 },
    ],
    executionId,
  ),
  ...rows(
    'Subscription.output(after:)',
    'subscription ($value: Int, $known: ID!) { output(executionId: $known, after: $value) { seq } }',
    BAD_SEQS,
    executionId,
  ),
  ...rows(
    'Subscription.output(executionId:)',
    'subscription ($value: ID!) { output(executionId: $value) { seq } }',
    BAD_IDS,
  ),
  ...rows(
    'Subscription.sessionOutput(userUuid:)',
    'subscription ($value: String!) { sessionOutput(userUuid: $value) { seq } }',
    BAD_USER_UUIDS,
  ),
  ...rows(
    'Subscription.sessionOutput(after:)',
    'subscription ($value: String) { sessionOutput(userUuid: "someone", after: $value) { seq } }',
    [
      { what: 'is empty', value: '', field: 'after' },
      { what: 'is no cursor', value: 'garbage', field: 'after' },
      { what: 'holds U+0000', value: 'x:\u0000', field: 'after' },
    ],
  ),
];

export const REFUSALS: readonly Refusal[] = [
  ...mutations,
  ...INPUT_REFUSALS,
  ...ENVIRONMENT_REFUSALS,
  ...QUOTA_REFUSALS,
  ...TOKEN_REFUSALS,
  ...fileMutations,
  ...queries,
  ...fileQueries,
  ...outputs,
];

/** One row for each operation and each shape of its errors, and one for each kind of bad value. */
export const REFUSAL_SAMPLE: readonly Refusal[] = sample();

function sample(): Refusal[] {
  const seen = new Set<string>();
  const isNew = (name: string) => seen.size < seen.add(name).size;
  return REFUSALS.filter(({ query, what, field, limit }) => {
    const shape = `${operationOf(query)} ${field !== undefined} ${limit !== undefined}`;
    return [shape, what].filter(isNew).length > 0;
  });
}

/** The field of Query, Mutation or Subscription. */
export function operationOf(query: string): string {
  return /\{ (\w+)/.exec(query)?.[1] ?? '';
}
