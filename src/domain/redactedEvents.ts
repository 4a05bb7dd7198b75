/**
 * Says for each event which of its fields stay when its user or tenant is forgotten. Hashes of code and files are
 * removed, too: somebody with the same code or file could find out who had it.
 */
import type { EventOf, StreamKind } from './entities.ts';
import type { EventMetadata } from './events.ts';
import {
  CONTEXT,
  EXECUTION_END,
  EXECUTION_REQUEST,
  type Fates,
  FILE_CHANGE,
  type Names,
  NOTEBOOK,
  redacted,
  TOKEN,
} from './redaction.ts';

/**
 * The entities that belong to a tenant, and mostly to one of its users. A new entity counts as one of them unless it is
 * excluded here.
 */
export type OwnedKind = Exclude<StreamKind, 'worker' | 'removal' | 'environment'>;
type OwnedEvent = EventOf<OwnedKind>;
type DataOf<T extends OwnedEvent['type']> = Extract<OwnedEvent, { readonly type: T }>['data'];

/** Fields that name the owner, the session and the worker. */
const OWNER = {
  at: 'stays',
  tenant: 'tenant',
  userUuid: 'userUuid',
  sessionId: 'stays',
  workerId: 'stays',
} as const;
const ONLY_TIME = { at: 'stays' } as const;
const QUOTA = {
  at: 'stays',
  // The id is a hash of the names of the tenant and the user.
  quotaId: 'id',
  tenant: 'tenant',
  userUuid: 'userUuid',
  kind: 'stays',
} as const;

const EVENTS: { readonly [T in OwnedEvent['type']]: Fates<DataOf<T>> } = {
  SessionOpened: {
    ...OWNER,
    followsLoss: 'stays',
    options: {
      // The name of an environment stays: an operator chose it.
      keeps: ({ idleTimeoutMs, maxLifeMs, environment }) => ({
        metadata: {},
        environmentVariableNames: [],
        idleTimeoutMs,
        maxLifeMs,
        ...(environment && { environment }),
      }),
    },
  },
  SessionLifeChanged: { at: 'stays', expiresAt: 'stays' },
  KernelRestartRequested: ONLY_TIME,
  KernelRestarted: { at: 'stays', reason: 'stays', executionId: 'stays' },
  SessionClosed: { at: 'stays', reason: 'stays' },
  ContextCreated: {
    ...OWNER,
    ...CONTEXT,
    contextId: 'stays',
  },
  ContextStarted: { at: 'stays', readyMs: 'stays' },
  ContextRestartRequested: ONLY_TIME,
  ContextRestarted: { at: 'stays', reason: 'stays', executionId: 'stays' },
  ContextDeleteRequested: ONLY_TIME,
  ContextEnded: { at: 'stays', reason: 'stays' },
  ExecutionRequested: {
    ...OWNER,
    ...EXECUTION_REQUEST,
    executionId: 'stays',
    code: { becomes: '' },
    stateLost: 'stays',
    workingDirectory: 'goes',
    environmentVariableNames: 'goes',
    allowInput: 'stays',
    keepAlive: 'stays',
    pty: 'stays',
    stopOnError: 'stays',
    label: 'goes',
    silent: 'stays',
    storeHistory: 'stays',
    // They are code.
    userExpressions: 'goes',
  },
  InterruptRequested: { at: 'stays', signal: 'stays' },
  InputSent: {
    at: 'stays',
    offset: 'stays',
    bytes: 'stays',
    close: 'stays',
    text: 'goes',
    base64: 'goes',
  },
  ExecutionStarted: { at: 'stays', executionCount: 'stays', pid: 'stays' },
  ExecutionFinished: { ...EXECUTION_END, at: 'stays' },
  FileChangeRequested: {
    ...OWNER,
    ...FILE_CHANGE,
    changeId: 'stays',
  },
  FileWritten: {
    at: 'stays',
    path: { becomes: '' },
    size: 'stays',
    sha256: { becomes: null },
    isNew: 'stays',
  },
  FileMoved: { at: 'stays', path: { becomes: '' }, toPath: { becomes: '' }, size: 'stays' },
  FileDeleted: { at: 'stays', path: { becomes: '' }, size: 'stays', files: 'stays' },
  FileChangeFailed: { at: 'stays', code: 'stays', mayHaveHappened: 'stays' },
  NotebookOpened: { ...NOTEBOOK, at: 'stays', notebookId: 'stays', tenant: 'tenant' },
  NotebookChanged: { ...NOTEBOOK, at: 'stays' },
  NotebookClosed: ONLY_TIME,
  QuotaSet: { ...QUOTA, limit: 'stays' },
  QuotaReset: QUOTA,
  TokenCreated: { ...TOKEN, at: 'stays', tokenId: 'stays' },
  TokenRotated: { at: 'stays', secretSha256: 'stays', formerUntil: 'stays' },
  TokenRevoked: { at: 'stays', reason: 'stays' },
};

/** The stored data of an event, without the forgotten facts. Pure. */
export function redactedData(
  type: string,
  data: Readonly<Record<string, unknown>>,
  names: Names,
): Record<string, unknown> {
  // If a type is not in the table, only its time is certain to say nothing about the user.
  const fates = Object.hasOwn(EVENTS, type) ? EVENTS[type as OwnedEvent['type']] : ONLY_TIME;
  return redacted(fates, data, names);
}

/** Metadata as stored: older events lack the optional fields. */
export type StoredMetadata = Pick<EventMetadata, 'gatewayId' | 'causationId'> &
  Partial<Pick<EventMetadata, 'correlationId' | 'actor'>>;

/**
 * The stored metadata of an event. If its actor belongs to `tenant`, the pseudonym replaces the tenant's name. Pure.
 */
export function redactedMetadata(
  metadata: StoredMetadata,
  { tenant, pseudonym }: { readonly tenant: string; readonly pseudonym: string },
): StoredMetadata {
  const { actor } = metadata;
  if (!actor || actor.tenant !== tenant) return metadata;
  return { ...metadata, actor: { ...actor, tenant: pseudonym } };
}
