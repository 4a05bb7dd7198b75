/** Bad values, grouped by the field that they are bad for, and what each refusal must name. */

/** The limits under the default settings. */
export const LIMITS = {
  codeBytes: 1_048_576,
  bodyBytes: 8_388_608,
  executionTimeoutMs: 300_000,
  workerWaitMs: 60_000,
  userUuidChars: 128,
  keyChars: 256,
  contextNameChars: 128,
  environmentNameChars: 63,
  cells: 64,
  page: 1_000,
  longestLifeMs: 604_800_000,
  metadataKeys: 64,
  metadataKeyChars: 128,
  metadataBytes: 16_384,
  variables: 128,
  variableNameBytes: 256,
  variableBytes: 65_536,
  terminal: 65_535,
  inputCallBytes: 65_536,
  inputBytes: 16_777_216,
} as const;

export interface BadValue {
  readonly what: string;
  readonly value: unknown;
  /** The message and the extensions name this field. Undefined: GraphQL's own validation refuses the value. */
  readonly field?: string;
  /** The message and the extensions name this limit, too. */
  readonly limit?: number;
}

export function badText(field: string, limit: number): readonly BadValue[] {
  return [
    { what: 'is empty', value: '', field },
    { what: 'is too long', value: 'x'.repeat(limit + 1), field, limit },
    { what: 'holds U+0000', value: 'a\u0000', field },
    { what: 'holds a lone surrogate', value: 'a\ud800', field },
    { what: 'is not text', value: 7 },
  ];
}

/** Bad for every path, whatever the operation. */
export function badPaths(field: string): readonly BadValue[] {
  return [
    { what: 'holds U+0000', value: 'a\u0000', field },
    { what: 'holds a lone surrogate', value: 'a\ud800', field },
    { what: 'leads upwards', value: 'data/../a', field },
    { what: 'has a name that is too long', value: 'é'.repeat(128), field, limit: 255 },
    { what: 'is too long', value: 'a/'.repeat(2_048), field, limit: 4_095 },
    { what: 'is too long with the home before it', value: 'a/'.repeat(2_045), field, limit: 4_095 },
    { what: 'is not text', value: 7 },
  ];
}

export const BAD_DIRECTORIES: readonly BadValue[] = [
  { what: 'is empty', value: '', field: 'workingDirectory' },
  ...badPaths('workingDirectory'),
];

/** Bad for a file or folder that is made, moved or deleted. */
export function badChangeable(field: string): readonly BadValue[] {
  return [
    ...badPaths(field),
    { what: 'is empty', value: '', field },
    { what: 'is the home', value: '.', field },
    { what: 'is the home, from the root', value: '/home//user/', field },
    { what: 'is the root', value: '//', field },
  ];
}

/** For required fields. */
export const MISSING: BadValue = { what: 'is missing', value: undefined };

export const BAD_USER_UUIDS = badText('userUuid', LIMITS.userUuidChars);
export const BAD_CONTEXT_NAMES = badText('name', LIMITS.contextNameChars);
export const BAD_ENVIRONMENT_NAMES = badText('environment', LIMITS.environmentNameChars);
export const BAD_KEYS = badText('idempotencyKey', LIMITS.keyChars);

export const BAD_CODES: readonly BadValue[] = [
  MISSING,
  { what: 'is empty', value: '', field: 'code' },
  {
    what: 'is over the limit, in bytes of UTF-8',
    value: '波'.repeat(LIMITS.codeBytes / 3 + 1),
    field: 'code',
    limit: LIMITS.codeBytes,
  },
  { what: 'is not text', value: { code: '1' } },
];

function badNumber(field: string, least: number, limit: number): readonly BadValue[] {
  return [
    { what: 'is too little', value: least - 1, field },
    { what: 'is too much', value: limit + 1, field, limit },
    { what: 'is not an Int', value: 2 ** 31 },
    { what: 'is not a whole number', value: 1.5 },
    { what: 'is not a number', value: 'soon' },
  ];
}

export const BAD_TIMEOUTS = badNumber('timeoutMs', 1, LIMITS.executionTimeoutMs);
export const BAD_WAITS = badNumber('waitForWorkerMs', 0, LIMITS.workerWaitMs);
export const BAD_PAGE_SIZES = badNumber('first', 1, LIMITS.page);

/** For a field of type Int53 that takes milliseconds. */
function badMilliseconds(field: string, least: number): readonly BadValue[] {
  const limit = LIMITS.longestLifeMs;
  return [
    { what: 'is too little', value: least - 1, field },
    { what: 'is too much', value: limit + 1, field, limit },
    { what: 'is far too much', value: 1e300 },
    { what: 'is not a whole number', value: 1_000.5 },
    { what: 'is not a number', value: 'soon' },
  ];
}

export const BAD_IDLE_TIMES = badMilliseconds('idleTimeoutMs', 1_000);
export const BAD_LIVES = badMilliseconds('maxLifeMs', 1_000);
export const BAD_FURTHER_LIVES = badMilliseconds('lifeMs', 0);

/** For a list of hosts that code may reach. */
export const BAD_HOSTS: readonly BadValue[] = [
  { what: 'holds null', value: [null] },
  { what: 'holds no text', value: [1] },
  { what: 'holds a URL', value: ['http://pypi.org'], field: 'egressAllow' },
  { what: 'holds an empty text', value: [''], field: 'egressAllow' },
  { what: 'holds an address that is spelt as a number', value: ['127.1:80'], field: 'egressAllow' },
  { what: 'holds a private address without a port', value: ['10.0.0.1'], field: 'egressAllow' },
  { what: 'holds what is not allowed', value: ['pypi.org'], field: 'egressAllow' },
  { what: 'is too long', value: Array(65).fill('pypi.org'), field: 'egressAllow', limit: 64 },
  { what: 'holds what is too long', value: ['a'.repeat(261)], field: 'egressAllow', limit: 260 },
];

const variables = 'environmentVariables';

/** For the name of one of the environment variables. */
export const BAD_VARIABLE_NAMES: readonly BadValue[] = [
  MISSING,
  { what: 'is empty', value: '', field: variables },
  { what: 'begins with a digit', value: '1A', field: variables },
  { what: 'holds =', value: 'A=B', field: variables },
  { what: 'holds a space', value: 'A B', field: variables },
  { what: 'holds a letter that is no ASCII', value: 'Ä', field: variables },
  { what: 'holds U+0000', value: 'A\u0000', field: variables },
  { what: 'holds a line break', value: 'A\n', field: variables },
  {
    what: 'is too long',
    value: 'A'.repeat(LIMITS.variableNameBytes + 1),
    field: variables,
    limit: LIMITS.variableNameBytes,
  },
  { what: 'is not text', value: 7 },
];

/** For the value of one of the environment variables. */
export const BAD_VARIABLE_VALUES: readonly BadValue[] = [
  MISSING,
  { what: 'is null', value: null },
  { what: 'holds U+0000', value: 'a\u0000', field: variables },
  { what: 'holds a lone surrogate', value: 'a\ud800', field: variables },
  {
    what: 'is over the limit, in bytes of UTF-8',
    value: '波'.repeat(LIMITS.variableBytes / 3 + 1),
    field: variables,
    limit: LIMITS.variableBytes,
  },
  { what: 'is not text', value: 7 },
];

export const BAD_VARIABLES: readonly BadValue[] = [
  { what: 'is not a list', value: 'A=b' },
  { what: 'holds null', value: [null] },
  {
    what: 'has a name twice',
    value: [
      { name: 'A', value: 'b' },
      { name: 'A', value: 'b' },
    ],
    field: variables,
  },
  {
    what: 'has too many items',
    value: Array.from({ length: LIMITS.variables + 1 }, (_, index) => ({
      name: `A${index}`,
      value: '',
    })),
    field: variables,
    limit: LIMITS.variables,
  },
  {
    what: 'is over the limit, all names and values together',
    value: ['A', 'B'].map((name) => ({ name, value: 'x'.repeat(LIMITS.variableBytes / 2) })),
    field: variables,
    limit: LIMITS.variableBytes,
  },
];

const pair = (key: string, value: string) => ({ key, value });

export const BAD_METADATA: readonly BadValue[] = [
  { what: 'is a text', value: 'team=red' },
  { what: 'is a number', value: 7 },
  { what: 'has a key without a value', value: [{ key: 'a' }] },
  { what: 'has a key twice', value: [pair('a', '1'), pair('a', '2')], field: 'metadata' },
  {
    what: 'has too many keys',
    value: Array.from({ length: LIMITS.metadataKeys + 1 }, (_, index) => pair(`k${index}`, '')),
    field: 'metadata',
    limit: LIMITS.metadataKeys,
  },
];

export const BAD_METADATA_KEYS: readonly BadValue[] = [
  MISSING,
  { what: 'is empty', value: '', field: 'metadata' },
  {
    what: 'is too long',
    value: 'x'.repeat(LIMITS.metadataKeyChars + 1),
    field: 'metadata',
    limit: LIMITS.metadataKeyChars,
  },
  { what: 'holds U+0000', value: 'a\u0000', field: 'metadata' },
  { what: 'is not text', value: 1 },
];

export const BAD_METADATA_VALUES: readonly BadValue[] = [
  MISSING,
  {
    what: 'is over the limit, in bytes of UTF-8',
    value: '波'.repeat(LIMITS.metadataBytes / 3 + 1),
    field: 'metadata',
    limit: LIMITS.metadataBytes,
  },
  { what: 'holds U+0000', value: 'b\u0000', field: 'metadata' },
  { what: 'holds a lone surrogate', value: 'b\ud800', field: 'metadata' },
  { what: 'is a number', value: 1 },
  { what: 'is an object', value: { b: 'c' } },
];

export const BAD_CURSORS: readonly BadValue[] = [
  { what: 'is empty', value: '', field: 'after' },
  { what: 'is not a cursor', value: 'x', field: 'after' },
  { what: 'is negative', value: '-1', field: 'after' },
  { what: 'holds U+0000', value: '1\u0000', field: 'after' },
  { what: 'is not text', value: ['1'] },
];

export const BAD_TIMES: readonly BadValue[] = [
  { what: 'is not a time', value: 'yesterday' },
  { what: 'is a number', value: 1_700_000_000 },
  { what: 'has no offset', value: '2026-01-31T12:00:00' },
  { what: 'is a day that there is not', value: '2026-02-30T12:00:00Z' },
  { what: 'is before all times', value: '0000-01-01T00:00:00Z' },
  { what: 'is after all times', value: '9999-12-31T23:59:59-10:00' },
  { what: 'holds U+0000', value: '2026-01-31T12:00:00Z\u0000' },
];

/** For an `after` argument: the seq after which a page or a stream begins. */
export const BAD_SEQS: readonly BadValue[] = [
  { what: 'is negative', value: -1, field: 'after' },
  { what: 'is not an Int', value: 2 ** 31 },
  { what: 'is not a number', value: 'x' },
];

export const BAD_IDS: readonly BadValue[] = [{ what: 'is not an id', value: { id: 'x' } }];

export const BAD_LANGUAGES: readonly BadValue[] = [
  { what: 'is not a language', value: 'PERL' },
  { what: 'is not one of the names', value: 'bash' },
];

export const BAD_FLAGS: readonly BadValue[] = [{ what: 'is no Boolean', value: 'yes' }];

/** Sides of a terminal. @param field as the error names it */
export const badSides = (field: string): readonly BadValue[] => [
  MISSING,
  ...badNumber(field, 1, LIMITS.terminal),
];

export const BAD_TERMINALS: readonly BadValue[] = [
  { what: 'is given for Python', value: { columns: 80, rows: 24 }, field: 'pty' },
  { what: 'is not an object', value: '80x24' },
];

export const BAD_OFFSETS = badNumber('offset', 0, LIMITS.inputBytes);

export const BAD_KEEP_ALIVES: readonly BadValue[] = [
  { what: 'is no Boolean', value: 'yes' },
  { what: 'is given for Python', value: true, field: 'keepAlive' },
];
