/** What is left of the events and rows of a user or tenant that is forgotten. */
import { describe, expect, it } from 'vitest';
import { type EventOf, fold, type StateOf } from '../../src/domain/entities.ts';
import type { ExecutionId, QuotaId } from '../../src/domain/ids.ts';
import { type OwnedKind, redactedData, redactedMetadata } from '../../src/domain/redactedEvents.ts';
import { OWNED_KINDS, redactedState } from '../../src/domain/redactedStates.ts';
import { type Fates, redacted } from '../../src/domain/redaction.ts';
import { newId } from '../../src/process/newId.ts';
import { executionFinished, executionRequested, sessionOpened } from '../../testkit/events.ts';

const at = '2026-01-02T03:04:05.678Z';
/** A text that is in no word, so that a name with this text must come from the data. */
const MARK = 'm4rk';
const owner = {
  at,
  tenant: `${MARK}1`,
  userUuid: `${MARK}2`,
  sessionId: newId(),
  workerId: newId(),
};
const names = { tenant: 'T', userUuid: 'U', id: '0197a000-0000-7000-8000-000000000002' };
const executionId = newId<ExecutionId>();

const HISTORIES: { readonly [K in OwnedKind]: readonly EventOf<K>[] } = {
  session: [
    ...(sessionOpened({
      ...owner,
      options: {
        metadata: { [MARK]: MARK },
        environmentVariableNames: [MARK],
        idleTimeoutMs: 5,
        maxLifeMs: 60_000,
        egressAllow: [MARK],
      },
    } as never).events as EventOf<'session'>[]),
    { type: 'SessionLifeChanged', data: { at, expiresAt: at } },
    { type: 'KernelRestartRequested', data: { at } },
    { type: 'KernelRestarted', data: { at, reason: 'user', executionId: null } },
    { type: 'SessionClosed', data: { at, reason: 'released' } },
  ],
  context: [
    {
      type: 'ContextCreated',
      data: { ...owner, contextId: newId(), name: MARK, workingDirectory: MARK, slot: 1 } as never,
    },
    { type: 'ContextStarted', data: { at, readyMs: 1.5 } },
    { type: 'ContextRestartRequested', data: { at } },
    { type: 'ContextRestarted', data: { at, reason: 'user', executionId } },
    { type: 'ContextDeleteRequested', data: { at } },
    { type: 'ContextEnded', data: { at, reason: 'deleted' } },
  ],
  execution: [
    ...(executionRequested({
      ...owner,
      executionId,
      code: MARK,
      codeSha256: MARK,
      idempotencyKey: MARK,
      language: 'BASH',
      workingDirectory: MARK,
      environmentVariableNames: [MARK],
      allowInput: true,
      keepAlive: true,
      pty: { columns: 80, rows: 24 },
      stopOnError: true,
      label: MARK,
      silent: true,
      storeHistory: false,
      userExpressions: [{ name: MARK, code: MARK }],
    } as never).events as EventOf<'execution'>[]),
    { type: 'InterruptRequested', data: { at, signal: 'SIGTERM' } },
    { type: 'InputSent', data: { at, offset: 0, bytes: 4, close: false, text: MARK } },
    { type: 'InputSent', data: { at, offset: 4, bytes: 3, close: true, base64: MARK } },
    { type: 'ExecutionStarted', data: { at, executionCount: 3, pid: 7 } },
    executionFinished({
      errorName: MARK,
      errorValue: MARK,
      signal: 'SIGKILL',
      files: {
        changes: [{ path: MARK, change: 'DELETED', size: null, modifiedAt: null }],
        reason: null,
        shared: true,
      },
      stoppedBy: executionId,
    }),
  ],
  fileChange: [
    {
      type: 'FileChangeRequested',
      data: { ...owner, changeId: newId(), operation: 'move', path: MARK, toPath: MARK } as never,
    },
    { type: 'FileWritten', data: { at, path: MARK, size: 1, sha256: MARK, isNew: true } },
    { type: 'FileMoved', data: { at, path: MARK, toPath: MARK, size: 1 } },
    { type: 'FileDeleted', data: { at, path: MARK, size: 1, files: 2 } },
    { type: 'FileChangeFailed', data: { at, code: 'NO_SPACE', mayHaveHappened: true } },
  ],
  notebook: [
    {
      type: 'NotebookOpened',
      data: {
        ...{ at, notebookId: newId(), contextId: owner.sessionId as never, type: 'notebook' },
        ...{ tenant: owner.tenant, userUuid: owner.userUuid, path: MARK, name: MARK },
      },
    },
    {
      type: 'NotebookChanged',
      data: {
        ...{ at, contextId: owner.sessionId as never, type: 'console' },
        ...{ userUuid: owner.userUuid, path: MARK, name: MARK },
      },
    },
    { type: 'NotebookClosed', data: { at } },
  ],
  quota: [
    {
      type: 'QuotaSet',
      data: {
        ...{ at, quotaId: `${MARK}` as QuotaId, kind: 'OPEN_SESSIONS', limit: 5 },
        ...{ tenant: owner.tenant, userUuid: owner.userUuid },
      },
    },
    {
      type: 'QuotaReset',
      data: {
        ...{ at, quotaId: `${MARK}` as QuotaId, kind: 'OPEN_SESSIONS' },
        ...{ tenant: owner.tenant, userUuid: owner.userUuid },
      },
    },
  ],
  token: [
    {
      type: 'TokenCreated',
      data: {
        ...{ at, tokenId: newId(), name: MARK, role: 'USER', tenant: owner.tenant },
        ...{ userUuid: owner.userUuid, userPrefix: MARK, door: 'files', expiresAt: at },
        secretSha256: 'one',
      },
    },
    { type: 'TokenRotated', data: { at, secretSha256: 'two', formerUntil: at } },
    { type: 'TokenRevoked', data: { at, reason: 'forgotten' } },
  ],
};

describe.each(OWNED_KINDS)('a %s that is forgotten', (kind) => {
  const history = HISTORIES[kind] as readonly EventOf<OwnedKind>[];
  const folded = (events: readonly EventOf<OwnedKind>[]) =>
    fold(kind as never, null, events as never) as StateOf<OwnedKind>;
  const left = history.map(({ type, data }) => ({ type, data: redactedData(type, data, names) }));

  it('has events without content, and a row that follows from them', () => {
    expect(JSON.stringify(history)).toContain(MARK);
    expect(JSON.stringify(left)).not.toContain(MARK);
    const row = redactedState(kind, folded(history) as never, names);
    expect(row).toEqual(folded(left as never));
    expect(JSON.stringify(row)).not.toContain(MARK);
  });

  it('keeps all its events, their times and their required fields', () => {
    for (const [index, { data }] of left.entries()) {
      expect(data.at).toBe(history[index]?.data.at);
      const needed = Object.keys(history[index]?.data ?? {}).filter((field) => field in data);
      expect(Object.keys(data)).toEqual(needed);
    }
  });
});

it('data without a row in the tables are removed: unknown fields, and those of unknown types of events', () => {
  const data = { at, newField: MARK, reason: 'released' };
  expect(redactedData('SessionClosed', data, names)).toEqual({ at, reason: 'released' });
  expect(redactedData('SessionPainted', data, names)).toEqual({ at });
  expect(redactedData('toString', data, names)).toEqual({ at });
});

it('an actor keeps all but the name of the tenant that is forgotten', () => {
  const actor = { token: 'auth-token', role: 'OPERATOR', tenant: 'a', door: 'graphql' } as const;
  const metadata = { gatewayId: 'g', causationId: null, actor };
  const of = (tenant: string) => redactedMetadata(metadata, { tenant, pseudonym: 'T' });
  expect(of('a')).toEqual({ ...metadata, actor: { ...actor, tenant: 'T' } });
  expect(of('b')).toBe(metadata);
});

it('the compiler refuses a table that leaves a field out, or that removes a required field', () => {
  interface Facts {
    readonly at: string;
    readonly code: string;
    readonly note?: string;
  }
  const fates: Fates<Facts> = { at: 'stays', code: { becomes: '' }, note: 'goes' };
  // @ts-expect-error: `note` has no fate.
  const withoutOne: Fates<Facts> = { at: 'stays', code: { becomes: '' } };
  // @ts-expect-error: `code` is required.
  const takesOne: Fates<Facts> = { ...fates, code: 'goes' };
  // @ts-expect-error: `code` is a text.
  const ofAnotherType: Fates<Facts> = { ...fates, code: { becomes: null } };
  const facts = { at, code: MARK, note: MARK };
  expect(redacted(fates, facts, names)).toEqual({ at, code: '' });
  // Even with such a table, nothing stays by mistake.
  for (const table of [withoutOne, takesOne, ofAnotherType])
    expect(JSON.stringify(redacted(table, facts, names))).not.toContain(MARK);
});
