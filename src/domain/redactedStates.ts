/**
 * For each row of a user or tenant, which of its fields stay when they are forgotten. A row agrees with what follows from
 * its events without their content (`redactedEvents.ts`); that of a pruned stream has no events any more.
 */
import type { StateOf } from './entities.ts';
import type { OwnedKind } from './redactedEvents.ts';
import { type Fates, type Names, redacted } from './redaction.ts';

/** Whose it is, and where it ran. */
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
    expiresAt: 'stays',
    kernelRestarts: 'stays',
    kernelRestartedAt: 'stays',
    closedAt: 'stays',
    closeReason: 'stays',
  },
  context: {
    ...OWNER,
    name: { becomes: null },
    workingDirectory: { becomes: null },
    slot: 'stays',
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
    status: 'stays',
    codeSha256: { becomes: '' },
    codeBytes: 'stays',
    timeoutMs: 'stays',
    maxOutputBytes: 'stays',
    idempotencyKey: { becomes: null },
    requestedAt: 'stays',
    startedAt: 'stays',
    finishedAt: 'stays',
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
    files: { becomes: null },
    language: 'stays',
    contextId: 'stays',
    exitCode: 'stays',
    signal: 'stays',
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
    stoppedBy: 'stays',
  },
  fileChange: {
    ...OWNER,
    operation: 'stays',
    path: { becomes: '' },
    toPath: { becomes: null },
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
    userUuid: 'userUuid',
    contextId: 'stays',
    path: { becomes: '' },
    name: { becomes: '' },
    type: 'stays',
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
    name: { becomes: 'forgotten' },
    role: 'stays',
    tenant: 'tenant',
    userUuid: 'userUuid',
    userPrefix: { becomes: null },
    door: 'stays',
    createdAt: 'stays',
    expiresAt: 'stays',
    secretSha256: 'stays',
    formerSha256: 'stays',
    formerUntil: 'stays',
    revokedAt: 'stays',
    revokeReason: 'stays',
  },
};

/** All entities that belong to somebody, in the order in which they are forgotten. */
export const OWNED_KINDS = Object.keys(STATES) as readonly OwnedKind[];

/** A row without what is forgotten. Pure. */
export function redactedState<K extends OwnedKind>(
  kind: K,
  state: StateOf<K>,
  names: Names,
): StateOf<K> {
  return redacted(STATES[kind], { ...state }, names) as unknown as StateOf<K>;
}
