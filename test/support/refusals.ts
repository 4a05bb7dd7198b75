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
  BAD_METADATA_KEYS,
  BAD_METADATA_VALUES,
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
const BATCH =
  'mutation ($value: ExecuteBatchInput!) { executeBatch(input: $value) { executions { status } } }';
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

const EXTEND = 'mutation ($value: ExtendSessionInput!) { extendSession(input: $value) { id } }';
const extend = (field: string, bad: readonly BadValue[]) =>
  rows(`ExtendSessionInput.${field}`, EXTEND, bad, {
    given: (value) => ({ userUuid: 'someone', lifeMs: 1, [field]: value }),
  });

const RESTART = 'mutation ($value: RestartKernelInput!) { restartKernel(input: $value) { id } }';
const restart = (field: string, bad: readonly BadValue[]) =>
  rows(`RestartKernelInput.${field}`, RESTART, bad, {
    given: (value) => ({ userUuid: 'someone', [field]: value }),
  });

const DELETE_CONTEXT =
  'mutation ($value: DeleteContextInput!) { deleteContext(input: $value) { deleted } }';
const deleteContext = (field: string, bad: readonly BadValue[]) =>
  rows(`DeleteContextInput.${field}`, DELETE_CONTEXT, bad, {
    given: (value) => ({ userUuid: 'someone', contextId: 'a', [field]: value }),
  });

const INTERRUPT = 'mutation ($value: InterruptInput!) { interrupt(input: $value) { id } }';
const interrupt = (field: string, bad: readonly BadValue[]) =>
  rows(`InterruptInput.${field}`, INTERRUPT, bad, {
    given: (value) => ({ executionId: 'nothing', [field]: value }),
  });

/** An entry in the metadata of a new session. */
const note = (field: string, bad: readonly BadValue[]) =>
  rows(`MetadataEntryInput.${field}`, OPEN, bad, {
    given: (value) => ({
      userUuid: 'someone',
      metadata: [{ key: 'team', value: 'red', [field]: value }],
    }),
  });

const mutations: readonly Refusal[] = [
  ...rows('Mutation.execute(input:)', RUN('execute'), [MISSING]),
  ...rows('Mutation.submit(input:)', RUN('submit'), [MISSING]),
  ...run('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...run('code', BAD_CODES),
  ...run('language', BAD_LANGUAGES),
  ...run('contextId', BAD_IDS),
  ...run('keepAlive', BAD_KEEP_ALIVES),
  ...run('cancelQueuedOnError', [{ what: 'is no Boolean', value: 'yes' }]),
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
  ...note('key', BAD_METADATA_KEYS),
  ...note('value', BAD_METADATA_VALUES),
  ...open('idleTimeoutMs', BAD_IDLE_TIMES),
  ...open('maxLifeMs', BAD_LIVES),
  ...open('egressAllow', BAD_HOSTS),
  ...open('environment', BAD_ENVIRONMENT_NAMES),
  ...open('waitForWorkerMs', BAD_WAITS),
  ...rows('Mutation.extendSession(input:)', EXTEND, [MISSING]),
  ...extend('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...extend('lifeMs', [MISSING, ...BAD_FURTHER_LIVES]),
  ...rows('Mutation.release(input:)', RELEASE, [MISSING]),
  ...rows('ReleaseInput.userUuid', RELEASE, [MISSING, ...BAD_USER_UUIDS], {
    given: (userUuid) => ({ userUuid }),
  }),
  ...rows('Mutation.restartKernel(input:)', RESTART, [MISSING]),
  ...restart('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...restart('contextId', BAD_IDS),
  ...rows('Mutation.createContext(input:)', CREATE_CONTEXT, [MISSING]),
  ...createContext('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...createContext('name', BAD_CONTEXT_NAMES),
  ...createContext('workingDirectory', BAD_DIRECTORIES),
  ...rows('Mutation.deleteContext(input:)', DELETE_CONTEXT, [MISSING]),
  ...deleteContext('userUuid', [MISSING, ...BAD_USER_UUIDS]),
  ...deleteContext('contextId', [MISSING, ...BAD_IDS]),
  ...rows('Mutation.interrupt(input:)', INTERRUPT, [MISSING]),
  ...interrupt('executionId', [MISSING, ...BAD_IDS]),
  ...interrupt('signal', [
    { what: 'is not a signal for commands', value: 'SIGSTOP' },
    { what: 'is not text', value: 9 },
  ]),
];

const WRITE_FILE = 'mutation ($value: WriteFileInput!) { writeFile(input: $value) { path } }';
const writeFile = (field: string, bad: readonly BadValue[]) =>
  rows(`WriteFileInput.${field}`, WRITE_FILE, bad, {
    given: (value) => ({
      userUuid: 'someone',
      path: 'a.txt',
      content: { text: 'a' },
      [field]: value,
    }),
  });

/** Rows for a mutation that changes a file. `beside`: the other fields that its input needs. */
const fileChange =
  (name: 'makeDirectory' | 'moveFile' | 'deleteFile', beside: object) =>
  (field: string, bad: readonly BadValue[]) => {
    const input = `${name[0]?.toUpperCase()}${name.slice(1)}Input`;
    const query = `mutation ($value: ${input}!) { ${name}(input: $value) { __typename } }`;
    const given = (value: unknown) => ({ userUuid: 'someone', ...beside, [field]: value });
    return field === 'input'
      ? rows(`Mutation.${name}(input:)`, query, bad)
      : rows(`${input}.${field}`, query, bad, { given });
  };
const makeDirectory = fileChange('makeDirectory', { path: 'd' });
const moveFile = fileChange('moveFile', { from: 'a', to: 'b' });
const deleteFile = fileChange('deleteFile', { path: 'a' });
const BAD_USERS = [MISSING, ...BAD_USER_UUIDS];

const fileMutations: readonly Refusal[] = [
  ...rows('Mutation.writeFile(input:)', WRITE_FILE, [MISSING]),
  ...writeFile('userUuid', BAD_USERS),
  ...writeFile('path', [MISSING, ...badChangeable('path')]),
  ...writeFile('content', [
    MISSING,
    { what: 'is neither text nor base64', value: {} },
    { what: 'is both text and base64', value: { text: 'a', base64: 'YQ==' } },
    { what: 'is a text', value: 'a' },
    { what: 'holds a lone surrogate', value: { text: 'a\ud800' }, field: 'text' },
    { what: 'is base64 that is not padded', value: { base64: 'YQ' }, field: 'base64' },
    { what: 'is base64url', value: { base64: '_-8=' }, field: 'base64' },
    { what: 'is base64 on several lines', value: { base64: 'YQ==\n' }, field: 'base64' },
  ]),
  ...writeFile('append', [{ what: 'is no Boolean', value: 'yes' }]),
  ...makeDirectory('input', [MISSING]),
  ...makeDirectory('userUuid', BAD_USERS),
  ...makeDirectory('path', [MISSING, ...badChangeable('path')]),
  ...moveFile('input', [MISSING]),
  ...moveFile('userUuid', BAD_USERS),
  ...moveFile('from', [MISSING, ...badChangeable('from')]),
  ...moveFile('to', [MISSING, ...badChangeable('to')]),
  ...moveFile('overwrite', [{ what: 'is no Boolean', value: 'yes' }]),
  ...deleteFile('input', [MISSING]),
  ...deleteFile('userUuid', BAD_USERS),
  ...deleteFile('path', [MISSING, ...badChangeable('path')]),
  ...deleteFile('ifMatch', [
    { what: 'has no quotes', value: '1-2', field: 'ifMatch' },
    { what: 'is a weak tag', value: 'W/"1-2"', field: 'ifMatch' },
    { what: 'has an empty part', value: '"1-2",', field: 'ifMatch' },
    { what: 'is empty', value: '', field: 'ifMatch' },
    { what: 'is not text', value: 7 },
  ]),
];

const BAD_ENUM: readonly BadValue[] = [{ what: 'is none of its values', value: 'NONE' }];

const PAGE = '{ pageInfo { endCursor } }';

/** Rows for the paging arguments that every list has. */
function pages(field: string): Refusal[] {
  return [
    ...rows(
      `Query.${field}(first:)`,
      `query ($value: Int) { ${field}(first: $value) ${PAGE} }`,
      BAD_PAGE_SIZES,
    ),
    ...rows(
      `Query.${field}(after:)`,
      `query ($value: String) { ${field}(after: $value) ${PAGE} }`,
      BAD_CURSORS,
    ),
  ];
}

/** Rows for a list of an object that exists. `call` is the field that gives the object, e.g. `session(id: $known)`. */
function nested(
  at:
    | 'Session.events'
    | 'Worker.events'
    | 'Execution.events'
    | 'Session.executions'
    | 'Context.executions',
  call: string,
  beside: keyof Known,
): Refusal[] {
  const name = at.split('.')[1];
  const of = (argument: string, type: string, bad: readonly BadValue[]) =>
    rows(
      `${at}(${argument}:)`,
      `query ($value: ${type}, $known: ID!) { ${call} { ${name}(${argument}: $value) ${PAGE} } }`,
      bad,
      { beside },
    );
  const kinds =
    name === 'events'
      ? []
      : [
          ...of('language', 'Language', BAD_ENUM),
          ...of('statuses', '[ExecutionStatus!]', BAD_ENUM),
        ];
  return [...of('first', 'Int', BAD_PAGE_SIZES), ...of('after', 'String', BAD_CURSORS), ...kinds];
}

const list = (field: string, argument: string, type: string, bad: readonly BadValue[]) =>
  rows(
    `Query.${field}(${argument}:)`,
    `query ($value: ${type}) { ${field}(${argument}: $value) ${PAGE} }`,
    bad,
  );
const single = (call: string, type: string, at: string, bad: readonly BadValue[]) =>
  rows(at, `query ($value: ${type}) { ${call} { __typename } }`, bad);

const queries: readonly Refusal[] = [
  ...pages('executions'),
  ...pages('sessions'),
  ...pages('workers'),
  ...pages('events'),
  ...nested('Session.events', 'session(id: $known)', 'sessionId'),
  ...nested('Worker.events', 'worker(id: $known)', 'workerId'),
  ...nested('Execution.events', 'execution(id: $known)', 'executionId'),
  ...nested('Session.executions', 'session(id: $known)', 'sessionId'),
  ...nested('Context.executions', 'context(id: $known)', 'sessionId'),
  ...list('executions', 'tenant', 'String', badWord('tenant')),
  ...list('sessions', 'tenant', 'String', badWord('tenant')),
  ...list('executions', 'userUuid', 'String', BAD_USER_UUIDS),
  ...list('executions', 'sessionId', 'ID', BAD_IDS),
  ...list('executions', 'contextId', 'ID', BAD_IDS),
  ...list('executions', 'language', 'Language', BAD_ENUM),
  ...list('executions', 'statuses', '[ExecutionStatus!]', BAD_ENUM),
  ...list('executions', 'from', 'DateTime', BAD_TIMES),
  ...list('executions', 'to', 'DateTime', BAD_TIMES),
  ...list('executions', 'metadata', '[MetadataEntryInput!]', BAD_METADATA),
  ...list('sessions', 'userUuid', 'String', BAD_USER_UUIDS),
  ...list('sessions', 'metadata', '[MetadataEntryInput!]', BAD_METADATA),
  ...list('sessions', 'isOpen', 'Boolean', [{ what: 'is no Boolean', value: 'yes' }]),
  ...list('sessions', 'oldestFirst', 'Boolean', [{ what: 'is no Boolean', value: 'yes' }]),
  ...list('sessions', 'from', 'DateTime', BAD_TIMES),
  ...list('workers', 'states', '[WorkerState!]', BAD_ENUM),
  ...list('events', 'types', '[EventType!]', [
    { what: 'has a name that is not a type', value: ['SessionOpened', 'Opened'] },
    { what: 'holds U+0000', value: ['\u0000'] },
    { what: 'holds null', value: [null] },
  ]),
  ...single('session(id: $value)', 'ID', 'Query.session(id:)', [
    { what: 'is missing, like userUuid', value: undefined, field: 'id' },
    ...BAD_IDS,
  ]),
  ...single('session(id: "a", userUuid: $value)', 'String', 'Query.session(userUuid:)', [
    { what: 'is given beside id', value: 'someone', field: 'id' },
  ]),
  ...single('worker(id: $value)', 'ID!', 'Query.worker(id:)', [MISSING, ...BAD_IDS]),
  ...single('context(id: $value)', 'ID!', 'Query.context(id:)', [MISSING, ...BAD_IDS]),
  ...single('execution(id: $value)', 'ID!', 'Query.execution(id:)', BAD_IDS),
  ...single('contexts(userUuid: $value)', 'String!', 'Query.contexts(userUuid:)', BAD_USERS),
  ...single('session(userUuid: $value)', 'String', 'Query.session(userUuid:)', BAD_USER_UUIDS),
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
  { what: 'is not an Int', value: 2 ** 31 },
  { what: 'is not a number', value: 'all' },
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
    { what: 'is not a cursor', value: 'a cursor', field: 'after' },
    { what: 'holds U+0000', value: 'YQ\u0000', field: 'after' },
    { what: 'is longer than any cursor', value: 'YQ'.repeat(4_097), field: 'after' },
    { what: 'is not text', value: ['YQ=='] },
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
      { what: 'is not an Int', value: 2 ** 31 },
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
      { what: 'is not a cursor', value: 'garbage', field: 'after' },
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
