/**
 * Removes the facts about a forgotten user or tenant from an event or a row. Tables (`redactedEvents.ts`,
 * `redactedStates.ts`) give the fate of each field. The compiler refuses a table that lacks a field. A stored field
 * that is not in its table is removed.
 */

/** The names that a stream has after its owner is forgotten. */
export interface Names {
  /** The tenant's name. It does not change if only a user is forgotten. */
  readonly tenant: string;
  /** The user's name. Null if the stream does not belong to a single user. */
  readonly userUuid: string | null;
  /** The stream's id. It changes only if it was computed from the user's name. */
  readonly id: string;
}

/** What becomes of a field of `T`. */
type Fate<T, Field extends keyof T> =
  /** It says nothing about the user, or the audit needs it: ids, times, sizes, how something ended. */
  | 'stays'
  /** It is replaced by one of the names. */
  | keyof Names
  | { readonly becomes: T[Field] }
  | { readonly keeps: (value: Exclude<T[Field], null | undefined>) => T[Field] }
  /** It is left out, which only an optional field allows. */
  | (Record<never, never> extends Pick<T, Field> ? 'goes' : never);

/** The fate of each field. */
export type Fates<T> = { readonly [Field in keyof T]-?: Fate<T, Field> };

type AnyFate =
  | 'stays'
  | 'goes'
  | keyof Names
  | { readonly becomes: unknown }
  | { readonly keeps: (value: never) => unknown };

type Fields = Readonly<Record<string, unknown>>;

/**
 * Applies the table to `fields`. A field that is not in the table is left out. A field of the table that `fields` does
 * not have, such as one of a later version, is not added. Pure.
 */
export function redacted(table: object, fields: Fields, names: Names): Record<string, unknown> {
  const fates = table as Readonly<Record<string, AnyFate>>;
  return Object.fromEntries(
    Object.entries(fields).flatMap(([field, value]) => {
      const fate = Object.hasOwn(fates, field) ? fates[field] : 'goes';
      return fate === undefined || fate === 'goes' ? [] : [[field, after(fate, value, names)]];
    }),
  );
}

function after(fate: Exclude<AnyFate, 'goes'>, value: unknown, names: Names): unknown {
  if (fate === 'stays') return value;
  if (typeof fate === 'string') return value === null ? null : names[fate];
  if ('becomes' in fate) return fate.becomes;
  return value === null ? null : fate.keeps(value as never);
}

// The fates of fields that events (`redactedEvents.ts`) and rows (`redactedStates.ts`) have under the same names.

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
