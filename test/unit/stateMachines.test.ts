/** Compares the diagrams in docs/internals/events.md with the deciders: every command is tried in every state. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ContextCommand, decideContext, evolveContext } from '../../src/domain/context.ts';
import { WrongStateError } from '../../src/domain/decider.ts';
import { STREAM_KINDS, type StreamKind } from '../../src/domain/entities.ts';
import {
  decideEnvironment,
  type EnvironmentCommand,
  evolveEnvironment,
} from '../../src/domain/environment.ts';
import {
  decideExecution,
  type EndStatus,
  type ExecutionCommand,
  evolveExecution,
} from '../../src/domain/execution.ts';
import {
  decideFileChange,
  evolveFileChange,
  type FileChangeCommand,
} from '../../src/domain/fileChange.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import { decideNotebook, evolveNotebook, type NotebookCommand } from '../../src/domain/notebook.ts';
import { decideQuota, evolveQuota, type QuotaCommand, quotaIdOf } from '../../src/domain/quota.ts';
import { decideRemoval, evolveRemoval, type RemovalCommand } from '../../src/domain/removal.ts';
import { decideSession, evolveSession, type SessionCommand } from '../../src/domain/session.ts';
import { decideToken, evolveToken, type TokenCommand } from '../../src/domain/token.ts';
import { decideWorker, evolveWorker, type WorkerCommand } from '../../src/domain/worker.ts';
import { newId } from '../../src/process/newId.ts';
import { POOL_ID } from '../../testkit/events.ts';

const doc = readFileSync(new URL('../../docs/internals/events.md', import.meta.url), 'utf8');
const at = '2026-01-02T03:04:05.678Z';

/** The arrows drawn below a heading, except those to the end. */
function drawn(stream: string): string[] {
  const section = doc.split(`### \`${stream}-<id>\``)[1]?.split('\n### ')[0] ?? '';
  const diagram = /```mermaid\nstateDiagram-v2\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  const lines = diagram.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.endsWith('[*]')).sort();
}

interface Machine<State, Command, Event extends { readonly type: string }> {
  readonly commands: readonly Command[];
  decide(command: Command, state: State | null): Event[];
  evolve(state: State | null, event: Event): State;
  nameOf(state: State): string;
}

/** Every possible transition, written as in the diagrams. */
function walked<S, C, E extends { readonly type: string }>(machine: Machine<S, C, E>): string[] {
  const arrows = new Set<string>();
  const seen = new Set<string>();
  const name = (state: S | null) => (state === null ? '[*]' : machine.nameOf(state));
  const waiting: (S | null)[] = [null];
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
    if (seen.has(name(state))) continue;
    seen.add(name(state));
    for (const command of machine.commands) {
      // Only the first event counts: the others also occur as transitions from the state after it.
      const [event] = decided(machine, command, state);
      if (!event) continue;
      const next = machine.evolve(state, event);
      arrows.add(`${name(state)} --> ${name(next)}: ${event.type}`);
      waiting.push(next);
    }
  }
  return [...arrows].sort();
}

function decided<S, C, E extends { readonly type: string }>(
  machine: Machine<S, C, E>,
  command: C,
  state: S | null,
): E[] {
  try {
    return machine.decide(command, state);
  } catch (error: unknown) {
    if (error instanceof WrongStateError) return [];
    throw error;
  }
}

const workerCommands: WorkerCommand[] = [
  {
    type: 'RequestWorker',
    at,
    workerId: newId(),
    poolId: POOL_ID,
    name: 'worker-1',
    imageId: 'sha256:1',
    runtime: 'docker/runc',
    limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
    environmentId: null,
  },
  { type: 'RecordStart', at, containerId: 'c1', socketPath: '/s' },
  { type: 'RecordReady', at, readyMs: 700 },
  { type: 'AssignWorker', at, sessionId: newId() },
  { type: 'RetireWorker', at, reason: 'released' },
  { type: 'RecordLoss', at, reason: 'exited', exitCode: 1, detail: null },
  { type: 'RecordRemoval', at },
];

const sessionCommands: SessionCommand[] = [
  {
    type: 'OpenSession',
    at,
    sessionId: newId(),
    tenant: 'default',
    userUuid: 'ann',
    workerId: newId(),
    previous: null,
    options: null,
  },
  { type: 'ChangeSessionLife', at, expiresAt: at },
  { type: 'RequestKernelRestart', at },
  { type: 'RecordKernelRestart', at, reason: 'user', executionId: null },
  { type: 'CloseSession', at, reason: 'released' },
];

const contextCommands: ContextCommand[] = [
  {
    type: 'CreateContext',
    at,
    contextId: newId(),
    sessionId: newId(),
    workerId: newId(),
    tenant: 'default',
    userUuid: 'ann',
    name: null,
    workingDirectory: null,
    slot: 0,
  },
  { type: 'RecordContextStart', at, readyMs: 90 },
  { type: 'RequestContextRestart', at },
  { type: 'RecordContextRestart', at, reason: 'user', executionId: null },
  { type: 'RequestContextDelete', at },
  { type: 'EndContext', at, reason: 'deleted' },
];

const facts = {
  path: 'a.ipynb',
  name: '',
  type: 'notebook',
  contextId: newId<ContextId>(),
  userUuid: 'ann',
} as const;
const notebookCommands: NotebookCommand[] = [
  { type: 'OpenNotebook', at, opened: { notebookId: newId(), tenant: 'default', ...facts } },
  { type: 'ChangeNotebook', at, facts },
  { type: 'CloseNotebook', at },
];

const quotaId = quotaIdOf('default', 'ann', 'OPEN_SESSIONS');
const quota = { at, quotaId, tenant: 'default', userUuid: 'ann', kind: 'OPEN_SESSIONS' } as const;
const quotaCommands: readonly QuotaCommand[] = [
  { type: 'SetQuota', ...quota, limit: 5 },
  { type: 'SetQuota', ...quota, limit: null },
  { type: 'ResetQuota', ...quota },
];

const tokenCommands: TokenCommand[] = [
  {
    type: 'CreateToken',
    at,
    tokenId: newId(),
    name: 'notebooks',
    role: 'TENANT',
    tenant: 'default',
    userUuid: null,
    userPrefix: null,
    door: null,
    expiresAt: null,
    secretSha256: 'first',
  },
  { type: 'RotateToken', at, secretSha256: 'second', formerUntil: at },
  { type: 'RevokeToken', at, reason: 'revoked' },
];

const removalCommands: RemovalCommand[] = [
  {
    type: 'RecordPruning',
    at,
    removalId: newId(),
    before: at,
    streams: 1,
    events: 3,
    outputs: 2,
    isArchived: true,
    digest: 'f'.repeat(64),
  },
  {
    type: 'RecordForgetting',
    at,
    removalId: newId(),
    scope: 'USER',
    pseudonym: 'forgotten-0123456789abcdef',
    streams: 1,
    events: 3,
    outputs: 2,
    digest: 'f'.repeat(64),
  },
];

const environmentCommands: EnvironmentCommand[] = [
  {
    type: 'RequestEnvironment',
    at,
    environmentId: newId(),
    name: 'science',
    number: 1,
    reason: 'asked',
    spec: { apt: [], pip: ['alpha'], index: null, setup: null, preload: [] },
    baseImageId: 'sha256:1',
    hash: 'f'.repeat(64),
  },
  { type: 'RecordEnvironmentBuild', at, imageId: 'sha256:2', bytes: 1, packages: [] },
  { type: 'RecordBuildFailure', at, failure: 'It took too long.', lastLines: '' },
  { type: 'RemoveEnvironment', at, reason: 'removed' },
];

const finish = (status: EndStatus, startedAt: string | null): ExecutionCommand => ({
  type: 'FinishExecution',
  at,
  start: startedAt === null ? null : { at: startedAt },
  ending: {
    status,
    executionCount: null,
    errorName: null,
    errorValue: null,
    stateLost: false,
    truncated: false,
    cpuMs: null,
    peakMemoryBytes: null,
    outputBytes: 0,
    storedOutputBytes: 0,
    exitCode: null,
    files: null,
  },
});
const ENDS: EndStatus[] = ['OK', 'ERROR', 'TIMEOUT', 'INTERRUPTED', 'CANCELLED', 'WORKER_LOST'];
const executionCommands: ExecutionCommand[] = [
  {
    type: 'RequestExecution',
    at,
    executionId: newId(),
    sessionId: newId(),
    workerId: newId(),
    tenant: 'default',
    userUuid: 'ann',
    code: 'a',
    codeSha256: 'f'.repeat(64),
    codeBytes: 1,
    timeoutMs: 10_000,
    maxOutputBytes: 1_000,
    idempotencyKey: null,
    stateLost: false,
    allowInput: true,
  },
  { type: 'RequestInterrupt', at },
  { type: 'SendInput', at, offset: 0, bytes: 1, close: false, text: 'a' },
  { type: 'RecordStart', at },
  ...ENDS.map((status) => finish(status, at)),
  // An execution may end with these statuses before it begins.
  finish('CANCELLED', null),
  finish('WORKER_LOST', null),
];

const fileChangeCommands: FileChangeCommand[] = [
  {
    type: 'RequestFileChange',
    at,
    changeId: newId(),
    tenant: 'default',
    userUuid: 'ann',
    sessionId: newId(),
    workerId: newId(),
    operation: 'move',
    path: 'a',
    toPath: 'b',
  },
  { type: 'RecordWritten', at, size: 1, sha256: 'f'.repeat(64), isNew: true },
  { type: 'RecordMoved', at, size: 1 },
  { type: 'RecordDeleted', at, size: 1, files: 1 },
  { type: 'RecordFailure', at, code: 'NO_SPACE', mayHaveHappened: false },
];

/** How to walk each entity, and how many arrows `drawn` must find. */
const WALKS: Readonly<
  Record<StreamKind, { readonly walk: () => string[]; readonly arrows: number }>
> = {
  worker: {
    walk: () =>
      walked({
        commands: workerCommands,
        decide: decideWorker,
        evolve: evolveWorker,
        nameOf: ({ state }) => state,
      }),
    arrows: 14,
  },
  session: {
    walk: () =>
      walked({
        commands: sessionCommands,
        decide: decideSession,
        evolve: evolveSession,
        nameOf: ({ closedAt }) => (closedAt ? 'CLOSED' : 'OPEN'),
      }),
    arrows: 5,
  },
  context: {
    walk: () =>
      walked({
        commands: contextCommands,
        decide: decideContext,
        evolve: evolveContext,
        nameOf: ({ status }) => status,
      }),
    arrows: 12,
  },
  execution: {
    walk: () =>
      walked({
        commands: executionCommands,
        decide: decideExecution,
        evolve: evolveExecution,
        nameOf: ({ status }) => status,
      }),
    arrows: 14,
  },
  fileChange: {
    walk: () =>
      walked({
        commands: fileChangeCommands,
        decide: decideFileChange,
        evolve: evolveFileChange,
        nameOf: ({ status }) => status,
      }),
    arrows: 5,
  },
  notebook: {
    walk: () =>
      walked({
        commands: notebookCommands,
        decide: decideNotebook,
        evolve: evolveNotebook,
        nameOf: ({ closedAt }) => (closedAt ? 'CLOSED' : 'OPEN'),
      }),
    arrows: 3,
  },
  quota: {
    walk: () =>
      walked({
        commands: quotaCommands,
        decide: decideQuota,
        evolve: evolveQuota,
        nameOf: ({ isSet }) => (isSet ? 'SET' : 'RESET'),
      }),
    arrows: 4,
  },
  removal: {
    walk: () =>
      walked({
        commands: removalCommands,
        decide: decideRemoval,
        evolve: evolveRemoval,
        nameOf: () => 'RECORDED',
      }),
    arrows: 2,
  },
  environment: {
    walk: () =>
      walked({
        commands: environmentCommands,
        decide: decideEnvironment,
        evolve: evolveEnvironment,
        nameOf: ({ state, removedAt }) => (removedAt ? 'REMOVED' : state),
      }),
    arrows: 6,
  },
  token: {
    walk: () =>
      walked({
        commands: tokenCommands,
        decide: decideToken,
        evolve: evolveToken,
        nameOf: ({ revokedAt }) => (revokedAt ? 'REVOKED' : 'VALID'),
      }),
    arrows: 3,
  },
};

describe('docs/internals/events.md draws', () => {
  it.each(STREAM_KINDS)('the life of a %s as it is decided', (kind) => {
    const { walk, arrows } = WALKS[kind];
    expect(drawn(kind)).toEqual(walk());
    expect(drawn(kind)).toHaveLength(arrows);
  });
});
