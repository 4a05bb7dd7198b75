/**
 * Enums of the schema that are strings in the domain, in stored events and in other interfaces. Each is made from a
 * record whose keys are the domain's type, so the compiler refuses a value without a row.
 */
import type { ContextEndReason } from '../domain/context.ts';
import type { DomainEvent } from '../domain/events.ts';
import type { NoChangesReason } from '../domain/executionFiles.ts';
import type { CloseReason as SessionEnd } from '../domain/session.ts';
import { enumNameOf } from '../domain/text.ts';
import type { Door as Wire } from '../domain/token.ts';
import type { LostReason, RetireReason } from '../domain/worker.ts';
import { builder } from './builder.ts';

/**
 * An enum whose values stand for strings of the domain.
 * @param rows the description of each string
 * @param nameOf the name of a string's value in the schema
 */
function enumOf<Value extends string>(
  name: string,
  description: string,
  rows: Readonly<Record<Value, string>>,
  nameOf: (value: string) => string = enumNameOf,
) {
  const values: Record<string, { readonly value: Value; readonly description: string }> = {};
  for (const [value, text] of Object.entries(rows) as [Value, string][])
    values[nameOf(value)] = { value, description: text };
  return builder.enumType(name, { description, values });
}

export const Door = enumOf<Wire | 'cli'>('Door', 'An interface through which calls come.', {
  graphql: 'GraphQL, over HTTP or WebSocket.',
  files: 'HTTP for files (`/files/...`).',
  predecessor: "The predecessor's API.",
  mcp: 'The Model Context Protocol.',
  jupyter: 'The API of a Jupyter server.',
  e2b: 'The API of E2B.',
  cli: "The command `cellhouse`, on the gateway's machine. No token can be limited to it.",
});

const SESSION_ENDS: Readonly<Record<SessionEnd, string>> = {
  released: '`release`, or a program that uses another interface, ended it.',
  idle: 'It was not used for its idle time.',
  expired: 'It reached the end of its life (`expiresAt`).',
  'worker-lost': 'Its container was lost.',
  shutdown: '`cellhouse down`, or another shutdown of the pool, ended it.',
};

export const CloseReason = enumOf<SessionEnd>('CloseReason', 'Why a session ended.', SESSION_ENDS);

export const ContextEnd = enumOf<ContextEndReason>('ContextEndReason', 'Why a context ended.', {
  deleted: '`deleteContext` ended it.',
  failed: 'No kernel could be started for it.',
  released: '`release`, or a program that uses another interface, ended its session.',
  idle: 'Its session was not used for its idle time.',
  expired: 'Its session reached the end of its life.',
  'worker-lost': 'The container of its session was lost.',
  shutdown: 'Its session ended with a shutdown of the pool.',
});

export const WorkerEnd = enumOf<RetireReason | LostReason>(
  'WorkerEndReason',
  'Why a worker ended: on purpose (RETIRED) or by a failure (LOST).',
  {
    released: 'On purpose: its session was released.',
    idle: 'On purpose: its session was idle.',
    expired: 'On purpose: its session reached the end of its life.',
    shutdown: 'On purpose: the pool was shut down.',
    recycled:
      'On purpose: it was idle, and made way for another worker or was not needed any more.',
    exited: 'A failure: its main process ended.',
    oom: 'A failure: the system killed it for lack of memory.',
    unreachable: 'A failure: its agent did not answer.',
    'create-failed': 'A failure: it could not be made or started.',
    'engine-restarted': 'A failure: the Docker engine lost it.',
  },
);

export const NoFilesReason = enumOf<NoChangesReason>(
  'ExecutionFilesReason',
  'Why the changes of an execution are unknown.',
  {
    'too-many-entries': 'The home has too many files and folders.',
    'too-deep': 'The home has folders that are nested too deep.',
    'too-slow': 'The comparison of the files took too long.',
    'too-many-changes': 'Too many files changed.',
    'kernel-replaced': 'The kernel was replaced during the execution.',
    'no-earlier-look': 'The worker did not know the files before the execution.',
    'helper-away': "The worker's helper for files did not answer.",
    'worker-lost': 'The container was lost.',
    'session-ended': 'The session ended before the comparison.',
    malformed: "The worker's report cannot be read.",
  },
);

/** The reasons that workers and retention give. A worker with an image of another release may give others. */
const GAPS = {
  output_limit: 'The output of the execution exceeded MAX_OUTPUT_BYTES.',
  replay_overflow: "The worker's memory for output was full before a gateway stored the output.",
  message_too_large: 'One message was too large.',
  malformed: 'It was not a valid message.',
  pruned: '`cellhouse prune` deleted it.',
  forgotten: 'Its user or tenant was forgotten.',
  other: 'Another reason, which this version does not name.',
} as const;

export type GapReasonValue = keyof typeof GAPS;

export const GapReason = enumOf<GapReasonValue>('GapReason', 'Why output is missing.', GAPS);

export function gapReasonOf(reason: string): GapReasonValue {
  return Object.hasOwn(GAPS, reason) ? (reason as GapReasonValue) : 'other';
}

/** The values have the same names as in docs/internals/events.md and in the database, so that a search finds them. */
export const EventType = enumOf<DomainEvent['type']>(
  'EventType',
  'The type of an event, written as in the database. docs/internals/events.md describes the data of each type.',
  {
    WorkerRequested: 'A worker was asked for, before any container exists.',
    WorkerStarted: "A worker's container runs.",
    WorkerReady: "A worker's kernel answers.",
    WorkerAssigned: 'A session took a worker, which serves no other.',
    WorkerRetired: 'A worker ended as intended.',
    WorkerLost: 'A worker ended unexpectedly.',
    WorkerRemoved: "A worker's container is gone.",
    SessionOpened: 'A user got a worker.',
    SessionLifeChanged: "The end of a session's life was moved.",
    KernelRestartRequested: 'A user asked for a fresh kernel of a default context.',
    KernelRestarted:
      'A fresh kernel replaced that of a default context, so its variables are lost.',
    SessionClosed: 'A session ended.',
    ContextCreated: 'A user asked for a context, before its kernel exists.',
    ContextStarted: "A context's kernel answers.",
    ContextRestartRequested: 'A user asked for a fresh kernel of a context.',
    ContextRestarted: 'A fresh kernel replaced that of a context, so its variables are lost.',
    ContextDeleteRequested: 'A user deleted a context. Its kernel is being ended.',
    ContextEnded: 'The kernel of a context is gone.',
    ExecutionRequested: 'An execution was accepted.',
    InterruptRequested: 'A user asked to stop an execution.',
    InputSent: 'A user sent input to an execution.',
    ExecutionStarted: 'The kernel began an execution, or a command began.',
    ExecutionFinished: 'An execution ended.',
    FileChangeRequested: 'A change of files was accepted, before anything goes to the worker.',
    FileWritten: 'The worker has a file, a folder, or the members of an archive.',
    FileMoved: 'A file or folder has another path.',
    FileDeleted: 'A file or folder is gone.',
    FileChangeFailed: 'A change of files did not happen, or it is unknown whether it did.',
    NotebookOpened: 'A client began to work on a notebook.',
    NotebookChanged: 'A client renamed a notebook, or gave it another context.',
    NotebookClosed: 'A client closed a notebook.',
    QuotaSet: 'An operator set a quota.',
    QuotaReset: 'An operator made the setting of a quota apply again.',
    TokenCreated: 'An operator made a token.',
    TokenRotated: "A token's secret was replaced.",
    TokenRevoked: 'A token was revoked.',
    HistoryPruned: '`cellhouse prune` deleted old records.',
    DataForgotten: '`cellhouse forget` deleted what a user or a tenant had written.',
    EnvironmentRequested: 'A version of an environment was asked for.',
    EnvironmentBuilt: 'A version of an environment is ready.',
    EnvironmentBuildFailed: 'A version of an environment could not be built.',
    EnvironmentRemoved: 'A version of an environment serves no new session.',
  },
  (type) => type,
);
