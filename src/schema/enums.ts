/**
 * Enums of the schema that are strings in the domain, in stored events and at other wires. Each is made from a record
 * whose keys are the domain's type, so the compiler refuses a value without a row.
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

export const Door = enumOf<Wire | 'cli'>('Door', 'A wire by which calls come.', {
  graphql: 'GraphQL, over HTTP or WebSocket.',
  files: 'HTTP for files (`/files/...`).',
  predecessor: "The predecessor's API.",
  mcp: 'The Model Context Protocol.',
  jupyter: 'The API of a Jupyter server.',
  e2b: 'The API of E2B.',
  cli: 'The command `cellhouse`, on the machine itself. No token is for it.',
});

const SESSION_ENDS: Readonly<Record<SessionEnd, string>> = {
  released: '`release`, or a program at another door, ended it.',
  idle: 'It was not used for its idle time.',
  expired: 'Its life was over.',
  'worker-lost': 'Its container was lost.',
  shutdown: '`cellhouse down`, or another shutdown of the pool, ended it.',
};

export const CloseReason = enumOf<SessionEnd>('CloseReason', 'Why a session ended.', SESSION_ENDS);

export const ContextEnd = enumOf<ContextEndReason>('ContextEndReason', 'Why a context ended.', {
  deleted: '`deleteContext` ended it.',
  failed: 'No kernel could be started for it.',
  released: 'Its session ended: `release`, or a program at another door, ended it.',
  idle: 'Its session ended: it was not used for its idle time.',
  expired: 'Its session ended: its life was over.',
  'worker-lost': 'Its session ended: the container was lost.',
  shutdown: 'Its session ended with a shutdown of the pool.',
});

export const WorkerEnd = enumOf<RetireReason | LostReason>(
  'WorkerEndReason',
  'Why a worker ended: on purpose (RETIRED) or by a failure (LOST).',
  {
    released: 'On purpose: its session was released.',
    idle: 'On purpose: its session was idle.',
    expired: "On purpose: its session's life was over.",
    shutdown: 'On purpose: the pool was shut down.',
    recycled: 'On purpose: another worker replaced it before it had a session.',
    exited: 'A failure: its main process ended.',
    oom: 'A failure: the system killed it for lack of memory.',
    unreachable: 'A failure: its agent did not answer.',
    'create-failed': 'A failure: it could not be made or started.',
    'engine-restarted': 'A failure: the Docker engine lost it.',
  },
);

export const NoFilesReason = enumOf<NoChangesReason>(
  'ExecutionFilesReason',
  'Why it is not known what an execution changed.',
  {
    'too-many-entries': 'The home has more files and folders than are compared.',
    'too-deep': 'The home has deeper folders than are compared.',
    'too-slow': 'Looking at the home took too long.',
    'too-many-changes': 'It changed more files than are reported.',
    'kernel-replaced': 'The kernel was replaced while it ran.',
    'no-earlier-look': 'There is no look at the home from before it began.',
    'helper-away': "The worker's helper for files did not answer.",
    'worker-lost': 'The container was lost.',
    'session-ended': 'The session ended first.',
    malformed: 'What the worker reported cannot be read.',
  },
);

/** The reasons that workers and retention give. A worker with an image of another release may give others. */
const GAPS = {
  output_limit: 'The output was longer than is kept of one execution (MAX_OUTPUT_BYTES).',
  replay_overflow:
    'The worker could not keep it until a gateway took it: for too long none was connected, or the database was too slow.',
  message_too_large: 'One message was larger than can be taken.',
  malformed: 'It could not be read.',
  pruned: 'It was deleted after its time.',
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
  'What an event says, written as in the database. docs/internals/events.md has their data.',
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
    FileMoved: 'A file or folder has another name.',
    FileDeleted: 'A file or folder is gone.',
    FileChangeFailed: 'A change of files did not happen, or nobody knows whether it did.',
    NotebookOpened: 'A client began to work on a notebook.',
    NotebookChanged: 'A client renamed a notebook, or gave it another context.',
    NotebookClosed: 'A client closed a notebook.',
    QuotaSet: 'An operator set a quota.',
    QuotaReset: 'An operator let the setting of a quota hold again.',
    TokenCreated: 'An operator made a token.',
    TokenRotated: "A token's secret was replaced.",
    TokenRevoked: 'A token lets nobody in any more.',
    HistoryPruned: '`cellhouse prune` deleted what was old.',
    DataForgotten: '`cellhouse forget` took what a user or a tenant had written.',
    EnvironmentRequested: 'A version of an environment was asked for.',
    EnvironmentBuilt: 'A version of an environment is ready.',
    EnvironmentBuildFailed: 'A version of an environment could not be built.',
    EnvironmentRemoved: 'A version of an environment serves no new session.',
  },
  (type) => type,
);
