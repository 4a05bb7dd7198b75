/** The fates of fields that events (`redactedEvents.ts`) and rows (`redactedStates.ts`) have under the same names. */

/** Fields of the request of an execution. */
export const EXECUTION_REQUEST = {
  codeSha256: { becomes: '' },
  codeBytes: 'stays',
  timeoutMs: 'stays',
  maxOutputBytes: 'stays',
  idempotencyKey: { becomes: null },
  language: 'stays',
  contextId: 'stays',
} as const;

/** How an execution ended. */
export const EXECUTION_END = {
  status: 'stays',
  executionCount: 'stays',
  errorName: { becomes: null },
  errorValue: { becomes: null },
  stateLost: 'stays',
  truncated: 'stays',
  queuedMs: 'stays',
  runMs: 'stays',
  cpuMs: 'stays',
  peakMemoryBytes: 'stays',
  outputBytes: 'stays',
  storedOutputBytes: 'stays',
  exitCode: 'stays',
  signal: 'stays',
  files: { becomes: null },
  stoppedBy: 'stays',
} as const;

export const CONTEXT = {
  name: { becomes: null },
  workingDirectory: { becomes: null },
  slot: 'stays',
} as const;

export const FILE_CHANGE = {
  operation: 'stays',
  path: { becomes: '' },
  toPath: { becomes: null },
} as const;

export const NOTEBOOK = {
  path: { becomes: '' },
  name: { becomes: '' },
  type: 'stays',
  contextId: 'stays',
  userUuid: 'userUuid',
} as const;

export const TOKEN = {
  name: { becomes: 'forgotten' },
  role: 'stays',
  tenant: 'tenant',
  userUuid: 'userUuid',
  userPrefix: { becomes: null },
  door: 'stays',
  expiresAt: 'stays',
  // The secret is random, so its hash reveals nothing.
  secretSha256: 'stays',
} as const;
