/** The session of one worker, and its contexts, as they are recorded. Kept up to date after the takeover. */

import { type Context, type ContextEvent, evolveContext } from '../domain/context.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { Execution } from '../domain/execution.ts';
import type { ContextId } from '../domain/ids.ts';
import { evolveSession, type Session, type SessionEvent } from '../domain/session.ts';
import type { ExecuteMessage } from '../kernel/execution.ts';
import type { LaneKey } from './lanes.ts';

/** The session of one worker, as it is recorded. */
export interface WorkerSession {
  /** Null: the worker has none yet. */
  readonly state: Session | null;
  /** When the default context's kernel was last replaced. Null: never in this session. */
  readonly kernelRestartedAt: Date | null;
  /** Replaces the state with one that was read, or that a commit returned. */
  put(session: Session): void;
  /** Applies an event that somebody else recorded, so that the next commit is decided on the current version. */
  fold(recorded: RecordedEvent): void;
  /** Reads the state again. */
  reload(): Promise<void>;
}

export function createWorkerSession(
  read: Session | null,
  reloadSession: (session: Session) => Promise<Session | null>,
): WorkerSession {
  let state = read;
  return {
    get state() {
      return state;
    },
    get kernelRestartedAt() {
      return state?.kernelRestartedAt ?? null;
    },
    put: (session) => {
      state = session;
    },
    fold: ({ streamId, version, event }) => {
      if (state?.id === streamId && state.version === version - 1)
        state = evolveSession(state, event as SessionEvent);
    },
    reload: async () => {
      if (state) state = await reloadSession(state);
    },
  };
}

/** The recorded state of the open contexts of one worker, other than the default one. */
export interface WorkerContexts {
  /** Undefined: the context has ended, or does not belong to this worker. */
  get(id: string): Context | undefined;
  /** When the kernel of this lane was last replaced. Null: never, or the lane is not that of a context. */
  kernelRestartedAt(lane: LaneKey): Date | null;
  /** Whether the context's kernel is ready. This may not be recorded yet. */
  isReady(id: ContextId): boolean;
  /** The agent has reported that the context's kernel is ready. */
  nowReady(id: ContextId): void;
  /** The context has ended. This may not be recorded yet. */
  nowEnded(id: ContextId): void;
  /** Whether the context is open. A context has ended even if its end is not recorded yet. */
  isOpen(id: ContextId): boolean;
  /**
   * Whether the execution's context is open or the default one. If it is neither, the code must not be sent any more.
   */
  isOpenFor(execution: Execution): boolean;
  /** Whether the execution's code may be sent: its context has a kernel, and is not being deleted. */
  mayRun(execution: Execution): boolean;
  /** The fields of the execute message that name the execution's context. */
  namedIn(execution: Execution): Pick<ExecuteMessage, 'context'>;
  /** Replaces the state with one that was read, or that a commit returned. */
  put(context: Context): void;
  /** Applies an event that somebody else recorded, so that the next commit is decided on the current version. */
  fold(recorded: RecordedEvent): void;
  /** Reads the states again. */
  reload(ids: readonly ContextId[]): Promise<void>;
}

/** @param read the contexts that are open when this gateway begins to act for the worker */
export function createWorkerContexts(
  read: readonly Context[],
  reloadContexts: (ids: readonly ContextId[]) => Promise<readonly Context[]>,
): WorkerContexts {
  const open = new Map<string, Context>(read.map((context) => [context.id, context]));
  const ready = new Set<string>();
  const ended = new Set<string>();

  function put(context: Context): void {
    if (context.endedAt === null) open.set(context.id, context);
    else for (const each of [open, ready, ended]) each.delete(context.id);
  }

  const isOpen = (id: string) => open.has(id) && !ended.has(id);
  const isReady = (id: string) => open.get(id)?.readyMs != null || ready.has(id);
  const nameOf = (id: ContextId) => ({
    id,
    workingDirectory: open.get(id)?.workingDirectory ?? null,
  });

  return {
    get: (id) => open.get(id),
    kernelRestartedAt: (lane) => open.get(lane)?.kernelRestartedAt ?? null,
    isReady,
    nowReady: (id) => ready.add(id),
    nowEnded: (id) => ended.add(id),
    isOpen,
    isOpenFor: ({ contextId }) => contextId === null || isOpen(contextId),
    mayRun: ({ contextId }) =>
      contextId === null || (isReady(contextId) && open.get(contextId)?.status !== 'ENDING'),
    namedIn: ({ contextId }) => (contextId === null ? {} : { context: nameOf(contextId) }),
    put,
    fold: ({ streamKind, streamId, version, event }) => {
      if (streamKind !== 'context') return;
      const before = open.get(streamId) ?? null;
      if (version === (before?.version ?? 0) + 1) put(evolveContext(before, event as ContextEvent));
    },
    reload: async (ids) => {
      if (ids.length === 0) return;
      for (const context of await reloadContexts(ids)) put(context);
    },
  };
}
