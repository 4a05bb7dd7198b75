/**
 * The life of a context: a kernel of a session in addition to the default one. The default context has no stream of its
 * own.
 *
 * ```
 *  (none) --create--> STARTING --ready--> READY --delete requested--> ENDING --end--> ENDED
 *                     STARTING --delete requested--> ENDING
 *                     STARTING, READY --restart requested--> the same
 *                     STARTING, READY, ENDING --restarted--> the same
 *                     STARTING, READY --end--> ENDED
 * ```
 * A user's request (create, restart, delete) is recorded, and the gateway that holds the worker carries it out. A
 * context may end without a request: with its session, or because it could not be made.
 *
 * Each context has a stream of its own. If its events were in the session's stream, they would raise the session's
 * version. Each commit of an `execute` guards that version, so such an event would make it fail and repeat. The commit
 * that creates a context guards the session, so no context is created in a closed session.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from './ids.ts';
import type { CloseReason, KernelRestartReason } from './session.ts';

export type ContextStatus = 'STARTING' | 'READY' | 'ENDING' | 'ENDED';
/**
 * `failed`: the worker could not make the context. `deleted`: its user deleted it. Otherwise: why its session was
 * closed.
 */
export type ContextEndReason = 'deleted' | 'failed' | CloseReason;

export type ContextEvent =
  | Event<
      'ContextCreated',
      {
        contextId: ContextId;
        sessionId: SessionId;
        workerId: WorkerId;
        tenant: string;
        userUuid: string;
        /** Unique among the open contexts of its session. Null if its user gave none. */
        name: string | null;
        /** Absolute. Null: the home. */
        workingDirectory: string | null;
        /**
         * From 0, below MAX_CONTEXTS. No two open contexts of a session have the same slot. So gateways that create
         * contexts at the same time cannot make more than the limit.
         */
        slot: number;
      }
    >
  /** Its kernel answers. */
  | Event<'ContextStarted', { readyMs: number }>
  | Event<'ContextRestartRequested', Record<never, never>>
  | Event<'ContextRestarted', { reason: KernelRestartReason; executionId: ExecutionId | null }>
  | Event<'ContextDeleteRequested', Record<never, never>>
  | Event<'ContextEnded', { reason: ContextEndReason }>;

/** The state that a context's events fold into, which is also its row. `version` is that of its stream. */
export interface Context {
  readonly id: ContextId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string;
  readonly sessionId: SessionId;
  readonly workerId: WorkerId;
  readonly name: string | null;
  readonly workingDirectory: string | null;
  readonly slot: number;
  readonly status: ContextStatus;
  readonly createdAt: Date;
  /** From its creation to the first answer of its kernel. Null until then. */
  readonly readyMs: number | null;
  readonly kernelRestarts: number;
  readonly kernelRestartedAt: Date | null;
  readonly endedAt: Date | null;
  readonly endReason: ContextEndReason | null;
}

export type ContextCommand = { readonly at: string } & (
  | ({ readonly type: 'CreateContext' } & Omit<Created, 'at'>)
  | { readonly type: 'RecordContextStart'; readonly readyMs: number }
  | { readonly type: 'RequestContextRestart' }
  | {
      readonly type: 'RecordContextRestart';
      readonly reason: KernelRestartReason;
      readonly executionId: ExecutionId | null;
    }
  | { readonly type: 'RequestContextDelete' }
  | { readonly type: 'EndContext'; readonly reason: ContextEndReason }
);

type Created = Extract<ContextEvent, { type: 'ContextCreated' }>['data'];

/**
 * The events that a command on a context records. Pure. Empty if the context has ended, for a second start, and while
 * the context is being deleted, for a start or request.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideContext(command: ContextCommand, context: Context | null): ContextEvent[] {
  if (command.type === 'CreateContext') {
    if (context !== null) throw new WrongStateError('context', context.status, command.type);
    const { type: _, ...data } = command;
    return [{ type: 'ContextCreated', data }];
  }
  if (context === null) throw new WrongStateError('context', 'not created', command.type);
  const { at } = command;
  const { status } = context;
  if (status === 'ENDED') return [];
  switch (command.type) {
    case 'RecordContextStart':
      return status === 'STARTING'
        ? [{ type: 'ContextStarted', data: { at, readyMs: command.readyMs } }]
        : [];
    case 'RequestContextRestart':
      return status === 'ENDING' ? [] : [{ type: 'ContextRestartRequested', data: { at } }];
    case 'RecordContextRestart': {
      const { reason, executionId } = command;
      return [{ type: 'ContextRestarted', data: { at, reason, executionId } }];
    }
    case 'RequestContextDelete':
      return status === 'ENDING' ? [] : [{ type: 'ContextDeleteRequested', data: { at } }];
    case 'EndContext':
      return [{ type: 'ContextEnded', data: { at, reason: command.reason } }];
    default:
      return command satisfies never;
  }
}

/**
 * The context after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveContext(state: Context | null, event: ContextEvent): Context {
  if (event.type === 'ContextCreated') return created(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1 };
  const at = new Date(event.data.at);
  switch (event.type) {
    case 'ContextStarted':
      return { ...next, status: 'READY', readyMs: event.data.readyMs };
    case 'ContextRestartRequested':
      return next;
    case 'ContextRestarted':
      return { ...next, kernelRestarts: state.kernelRestarts + 1, kernelRestartedAt: at };
    case 'ContextDeleteRequested':
      return { ...next, status: 'ENDING' };
    case 'ContextEnded':
      return { ...next, status: 'ENDED', endedAt: at, endReason: event.data.reason };
    default:
      return event satisfies never;
  }
}

function created({ at, contextId: id, ...data }: Created, version: number): Context {
  return {
    id,
    version: version + 1,
    tenant: data.tenant,
    userUuid: data.userUuid,
    sessionId: data.sessionId,
    workerId: data.workerId,
    name: data.name,
    workingDirectory: data.workingDirectory,
    slot: data.slot,
    status: 'STARTING',
    createdAt: new Date(at),
    readyMs: null,
    kernelRestarts: 0,
    kernelRestartedAt: null,
    endedAt: null,
    endReason: null,
  };
}

/**
 * How far a follower of a context has read. It gets the executions in the order of acceptance, each from its beginning
 * to its end.
 */
export interface ContextOffset {
  /** The position of an execution's request. The follower has got everything of the executions before it. */
  readonly position: number;
  /**
   * The last item of this execution that the follower has got. 0 is the execution's beginning. A higher number is the
   * seq of an output.
   */
  readonly seq: number;
}

/** A `seq`: the follower has got nothing of this execution yet. */
export const NOTHING_DELIVERED = -1;
/** The follower has got all of this execution, its end included. No output has such a high seq. */
export const ALL_DELIVERED = 2_147_483_647;

/** Whether a follower at `reached` has already got the item at `offset`. */
export function isDelivered(offset: ContextOffset, reached: ContextOffset | null): boolean {
  if (reached === null || offset.position > reached.position) return false;
  return offset.position < reached.position || offset.seq <= reached.seq;
}
