/**
 * Says for each row which of its fields stay when its user or tenant is forgotten. The redacted row must equal the
 * state that follows from the redacted events (`redactedEvents.ts`). If the stream was pruned, only the row is left.
 */
import type { StateOf } from './entities.ts';
import type { OwnedKind } from './redactedEvents.ts';
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

/** Fields that name the row, the owner, the session and the worker. */
const OWNER = {
  id: 'stays',
  version: 'stays',
  tenant: 'tenant',
  userUuid: 'userUuid',
  sessionId: 'stays',
  workerId: 'stays',
} as const;

const STATES: { readonly [K in OwnedKind]: Fates<StateOf<K>> } = {
  session: {
    id: 'stays',
    version: 'stays',
    tenant: 'tenant',
    userUuid: 'userUuid',
    workerId: 'stays',
    followsLoss: 'stays',
    openedAt: 'stays',
    hasOptions: 'stays',
    metadata: { becomes: {} },
    environmentVariableNames: { becomes: [] },
    idleTimeoutMs: 'stays',
    maxLifeMs: 'stays',
    egressAllow: { becomes: null },
    environment: 'stays',
    expiresAt: 'stays',
    kernelRestarts: 'stays',
    kernelRestartedAt: 'stays',
    closedAt: 'stays',
    closeReason: 'stays',
  },
  context: {
    ...OWNER,
    ...CONTEXT,
    status: 'stays',
    createdAt: 'stays',
    readyMs: 'stays',
    kernelRestarts: 'stays',
    kernelRestartedAt: 'stays',
    endedAt: 'stays',
    endReason: 'stays',
  },
  execution: {
    ...OWNER,
    ...EXECUTION_REQUEST,
    ...EXECUTION_END,
    pid: 'stays',
    requestedAt: 'stays',
    startedAt: 'stays',
    finishedAt: 'stays',
    keepsAlive: 'stays',
    inputBytes: 'stays',
    inputClosed: 'stays',
    options: {
      keeps: ({ allowInput, pty, stopOnError, silent, storeHistory }) => {
        const kept = {
          ...(allowInput && { allowInput }),
          ...(pty && { pty }),
          ...(stopOnError && { stopOnError }),
          ...(silent && { silent }),
          ...(storeHistory === false && { storeHistory }),
        };
        return Object.keys(kept).length === 0 ? null : kept;
      },
    },
  },
  fileChange: {
    ...OWNER,
    ...FILE_CHANGE,
    status: 'stays',
    size: 'stays',
    sha256: { becomes: null },
    isNew: 'stays',
    files: 'stays',
    errorCode: 'stays',
    mayHaveHappened: 'stays',
    requestedAt: 'stays',
    finishedAt: 'stays',
  },
  notebook: {
    id: 'stays',
    version: 'stays',
    tenant: 'tenant',
    ...NOTEBOOK,
    openedAt: 'stays',
    closedAt: 'stays',
  },
  quota: {
    id: 'id',
    version: 'stays',
    tenant: 'tenant',
    userUuid: 'userUuid',
    kind: 'stays',
    maximum: 'stays',
    isSet: 'stays',
    setAt: 'stays',
  },
  token: {
    id: 'stays',
    version: 'stays',
    ...TOKEN,
    createdAt: 'stays',
    formerSha256: 'stays',
    formerUntil: 'stays',
    revokedAt: 'stays',
    revokeReason: 'stays',
  },
};

/** All entities that belong to somebody, in the order in which they are forgotten. */
export const OWNED_KINDS = Object.keys(STATES) as readonly OwnedKind[];

/** A row without the forgotten facts. Pure. */
export function redactedState<K extends OwnedKind>(
  kind: K,
  state: StateOf<K>,
  names: Names,
): StateOf<K> {
  return redacted(STATES[kind], { ...state }, names) as unknown as StateOf<K>;
}
