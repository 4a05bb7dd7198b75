/**
 * Every entity that has events, in one table. A new entity needs a file beside this one (events, state, `evolve`,
 * `decide`), a row in `EntityTypes` and one in `ENTITIES`, and a table in `src/events/projections/projections.ts`.
 */
import { type Context, type ContextEvent, evolveContext } from './context.ts';
import { type Environment, type EnvironmentEvent, evolveEnvironment } from './environment.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from './execution.ts';
import { evolveFileChange, type FileChange, type FileChangeEvent } from './fileChange.ts';
import { evolveNotebook, type Notebook, type NotebookEvent } from './notebook.ts';
import { evolveQuota, type Quota, type QuotaEvent } from './quota.ts';
import { evolveRemoval, type Removal, type RemovalEvent } from './removal.ts';
import { evolveSession, type Session, type SessionEvent } from './session.ts';
import { evolveToken, type Token, type TokenEvent } from './token.ts';
import { evolveWorker, type Worker, type WorkerEvent } from './worker.ts';

/** The types of each entity: its events, and the state that they fold into. */
interface EntityTypes {
  readonly worker: { readonly state: Worker; readonly event: WorkerEvent };
  readonly session: { readonly state: Session; readonly event: SessionEvent };
  readonly context: { readonly state: Context; readonly event: ContextEvent };
  readonly execution: { readonly state: Execution; readonly event: ExecutionEvent };
  readonly fileChange: { readonly state: FileChange; readonly event: FileChangeEvent };
  readonly notebook: { readonly state: Notebook; readonly event: NotebookEvent };
  readonly quota: { readonly state: Quota; readonly event: QuotaEvent };
  readonly token: { readonly state: Token; readonly event: TokenEvent };
  readonly removal: { readonly state: Removal; readonly event: RemovalEvent };
  readonly environment: { readonly state: Environment; readonly event: EnvironmentEvent };
}

/** The rules of each entity, for code that treats all entities alike. */
export const ENTITIES: { readonly [K in StreamKind]: Entity<StateOf<K>, EventOf<K>> } = {
  worker: {
    evolve: evolveWorker,
    endedAt: 'removedAt',
    eventTypes: {
      WorkerRequested: true,
      WorkerStarted: true,
      WorkerReady: true,
      WorkerAssigned: true,
      WorkerRetired: true,
      WorkerLost: true,
      WorkerRemoved: true,
    },
  },
  session: {
    evolve: evolveSession,
    endedAt: 'closedAt',
    eventTypes: {
      SessionOpened: true,
      SessionLifeChanged: true,
      KernelRestartRequested: true,
      KernelRestarted: true,
      SessionClosed: true,
    },
  },
  context: {
    evolve: evolveContext,
    endedAt: 'endedAt',
    eventTypes: {
      ContextCreated: true,
      ContextStarted: true,
      ContextRestartRequested: true,
      ContextRestarted: true,
      ContextDeleteRequested: true,
      ContextEnded: true,
    },
  },
  execution: {
    evolve: evolveExecution,
    endedAt: 'finishedAt',
    eventTypes: {
      ExecutionRequested: true,
      InterruptRequested: true,
      InputSent: true,
      ExecutionStarted: true,
      ExecutionFinished: true,
    },
  },
  fileChange: {
    evolve: evolveFileChange,
    endedAt: 'finishedAt',
    eventTypes: {
      FileChangeRequested: true,
      FileWritten: true,
      FileMoved: true,
      FileDeleted: true,
      FileChangeFailed: true,
    },
  },
  notebook: {
    evolve: evolveNotebook,
    endedAt: 'closedAt',
    eventTypes: { NotebookOpened: true, NotebookChanged: true, NotebookClosed: true },
  },
  quota: {
    evolve: evolveQuota,
    // A quota never ends: it can always be set or reset again.
    endedAt: null,
    eventTypes: { QuotaSet: true, QuotaReset: true },
  },
  token: {
    evolve: evolveToken,
    // Auditors ask who could do what for as long as there are records. So a token is never pruned.
    endedAt: null,
    eventTypes: { TokenCreated: true, TokenRotated: true, TokenRevoked: true },
  },
  removal: {
    evolve: evolveRemoval,
    // A removal explains forever why earlier events are missing or empty.
    endedAt: null,
    eventTypes: { HistoryPruned: true, DataForgotten: true },
  },
  environment: {
    evolve: evolveEnvironment,
    endedAt: 'removedAt',
    eventTypes: {
      EnvironmentRequested: true,
      EnvironmentBuilt: true,
      EnvironmentBuildFailed: true,
      EnvironmentRemoved: true,
    },
  },
};

interface Entity<State, Event extends { readonly type: string }> {
  /** Pure. It accepts every recorded event. @throws Error if the stream's first event is missing */
  readonly evolve: (state: State | null, event: Event) => State;
  /** The field of its state that holds the time of its last event. Null for an entity that never ends. */
  readonly endedAt: TimeIn<State> | null;
  /** A record and not a list, so that the compiler reports a missing type. */
  readonly eventTypes: Readonly<Record<Event['type'], true>>;
}

type TimeIn<State> = Extract<
  { [Key in keyof State]: State[Key] extends Date | null ? Key : never }[keyof State],
  string
>;

/** An entity's name. Its streams are called `<kind>-<id>`. */
export type StreamKind = keyof EntityTypes;
export type StateOf<K extends StreamKind> = EntityTypes[K]['state'];
export type EventOf<K extends StreamKind> = EntityTypes[K]['event'];
/** The state of any entity. */
export type EntityState = StateOf<StreamKind>;

export const STREAM_KINDS: readonly StreamKind[] = Object.keys(ENTITIES).filter(isStreamKind);

export function isStreamKind(name: string): name is StreamKind {
  return Object.hasOwn(ENTITIES, name);
}

/**
 * The state after `events`.
 * @throws Error if `state` is null and `events` does not begin with the stream's first event
 */
export function fold<K extends StreamKind>(
  kind: K,
  state: StateOf<K> | null,
  events: readonly EventOf<K>[],
): StateOf<K> {
  const { evolve } = ENTITIES[kind];
  const after = events.reduce<StateOf<K> | null>(evolve, state);
  if (after === null) throw new Error('A stream needs at least one event or a state.');
  return after;
}

/** Whether the entity has had its last event. */
export function hasEnded<K extends StreamKind>(kind: K, state: StateOf<K>): boolean {
  const { endedAt } = ENTITIES[kind];
  return endedAt !== null && state[endedAt] !== null;
}
