/**
 * The life of a session.
 *
 * ```
 *  (none) --open--> open --[restart requested]--kernel restarted--> open ... --close--> closed
 *                   open --life changed--> open
 * ```
 * A user's request for a fresh kernel is recorded, and the gateway that holds the worker carries it out. Once a session
 * is closed, further commands record nothing: there is no kernel left to restart.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ExecutionId, SessionId, WorkerId } from './ids.ts';

// The options that a caller may set when a session opens. They never change afterwards. Only the end of its life can be
// moved.

export interface SessionOptions {
  /** The caller's own notes. Lists can be filtered by them. */
  readonly metadata: Readonly<Record<string, string>>;
  /** In alphabetical order. Values are never part of an event or a state. */
  readonly environmentVariableNames: readonly string[];
  /** The session ends when it has not been used for this time. Null: the time in the settings. */
  readonly idleTimeoutMs: number | null;
  /** How long the session lives, counted from its opening. Null: the time in the settings. */
  readonly maxLifeMs: number | null;
  /** The hosts that its code may reach, as rules in alphabetical order. Null: all that its tenant may reach. */
  readonly egressAllow: readonly string[] | null;
  /**
   * The name of the session's environment. Its worker has the version that is the newest when the session opens. Null:
   * no environment.
   */
  readonly environment: string | null;
}

/** The options of a session that was opened without any. */
export const NO_OPTIONS: SessionOptions = {
  metadata: {},
  environmentVariableNames: [],
  idleTimeoutMs: null,
  maxLifeMs: null,
  egressAllow: null,
  environment: null,
};

/** Whether no option was given, so that the session is a plain one. */
export function isPlain(options: SessionOptions): boolean {
  return differences(options, NO_OPTIONS).length === 0;
}

/**
 * The names of the options that differ, such as `idleTimeoutMs`, `metadata.team`, `environmentVariables.TOKEN`. Values
 * of environment variables are not compared, because they are not known here.
 */
export function differences(one: SessionOptions, other: SessionOptions): string[] {
  const names: string[] = [];
  if (one.environment !== other.environment) names.push('environment');
  if (one.idleTimeoutMs !== other.idleTimeoutMs) names.push('idleTimeoutMs');
  if (one.maxLifeMs !== other.maxLifeMs) names.push('maxLifeMs');
  if (one.egressAllow?.join() !== other.egressAllow?.join()) names.push('egressAllow');
  const keys = new Set([...Object.keys(one.metadata), ...Object.keys(other.metadata)]);
  for (const key of [...keys].sort()) {
    if (metadataAt(one, key) !== metadataAt(other, key)) names.push(`metadata.${key}`);
  }
  const variables = new Set([...one.environmentVariableNames, ...other.environmentVariableNames]);
  for (const name of [...variables].sort()) {
    const has = (options: SessionOptions) => options.environmentVariableNames.includes(name);
    if (has(one) !== has(other)) names.push(`environmentVariables.${name}`);
  }
  return names;
}

function metadataAt({ metadata }: SessionOptions, key: string): string | undefined {
  return Object.hasOwn(metadata, key) ? metadata[key] : undefined;
}

export type KernelRestartReason = 'timeout' | 'user' | 'died' | 'oom';
export type CloseReason = 'released' | 'idle' | 'expired' | 'worker-lost' | 'shutdown';

/**
 * Options as events contain them. Older events lack the fields that were added later. `environment` is left out if
 * there is none.
 */
type RecordedOptions = Omit<SessionOptions, 'egressAllow' | 'environment'> &
  Partial<Pick<SessionOptions, 'egressAllow' | 'environment'>>;

export type SessionEvent =
  | Event<
      'SessionOpened',
      {
        sessionId: SessionId;
        tenant: string;
        userUuid: string;
        workerId: WorkerId;
        /** Whether the user's previous session ended without the user's release, so that its variables are lost. */
        followsLoss: boolean;
        /** Left out for a session that was opened without options. */
        options?: RecordedOptions;
      }
    >
  /** A caller moved the end of the session's life. */
  | Event<'SessionLifeChanged', { expiresAt: string }>
  | Event<'KernelRestartRequested', Record<never, never>>
  | Event<'KernelRestarted', { reason: KernelRestartReason; executionId: ExecutionId | null }>
  | Event<'SessionClosed', { reason: CloseReason }>;

/** The state that a session's events fold into, which is also its row in the table. `version` is that of its stream. */
export interface Session extends SessionOptions {
  readonly id: SessionId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string;
  readonly workerId: WorkerId;
  readonly followsLoss: boolean;
  readonly openedAt: Date;
  /** Whether it was opened with options. */
  readonly hasOptions: boolean;
  /** When its life ends. Null: SESSION_MAX_LIFE_MS after its opening. */
  readonly expiresAt: Date | null;
  readonly kernelRestarts: number;
  readonly kernelRestartedAt: Date | null;
  readonly closedAt: Date | null;
  readonly closeReason: CloseReason | null;
}

export type SessionCommand = { readonly at: string } & (
  | {
      readonly type: 'OpenSession';
      readonly sessionId: SessionId;
      readonly tenant: string;
      readonly userUuid: string;
      readonly workerId: WorkerId;
      readonly previous: Session | null;
      /** Null: without options. */
      readonly options: SessionOptions | null;
    }
  | { readonly type: 'ChangeSessionLife'; readonly expiresAt: string }
  | { readonly type: 'RequestKernelRestart' }
  | {
      readonly type: 'RecordKernelRestart';
      readonly reason: KernelRestartReason;
      readonly executionId: ExecutionId | null;
    }
  | { readonly type: 'CloseSession'; readonly reason: CloseReason }
);

/**
 * The events that a command on a session records. Pure.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideSession(command: SessionCommand, session: Session | null): SessionEvent[] {
  if (command.type === 'OpenSession') {
    if (session !== null) throw new WrongStateError('session', 'open already', command.type);
    const { type: _, previous, options, ...who } = command;
    const followsLoss = previous !== null && previous.closeReason !== 'released';
    const data = { ...who, followsLoss, ...(options && { options: recordedOptions(options) }) };
    return [{ type: 'SessionOpened', data }];
  }
  if (session === null) throw new WrongStateError('session', 'not open', command.type);
  if (session.closedAt !== null) return [];
  const { at } = command;
  switch (command.type) {
    case 'RequestKernelRestart':
      return [{ type: 'KernelRestartRequested', data: { at } }];
    case 'RecordKernelRestart': {
      const { reason, executionId } = command;
      return [{ type: 'KernelRestarted', data: { at, reason, executionId } }];
    }
    case 'ChangeSessionLife':
      return [{ type: 'SessionLifeChanged', data: { at, expiresAt: command.expiresAt } }];
    case 'CloseSession':
      return [{ type: 'SessionClosed', data: { at, reason: command.reason } }];
    default:
      return command satisfies never;
  }
}

/**
 * The session after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveSession(state: Session | null, event: SessionEvent): Session {
  if (event.type === 'SessionOpened') return opened(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const at = new Date(event.data.at);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'KernelRestartRequested':
      return next;
    case 'KernelRestarted':
      return { ...next, kernelRestarts: state.kernelRestarts + 1, kernelRestartedAt: at };
    case 'SessionLifeChanged':
      return { ...next, expiresAt: new Date(event.data.expiresAt) };
    case 'SessionClosed':
      return { ...next, closedAt: at, closeReason: event.data.reason };
    default:
      return event satisfies never;
  }
}

function recordedOptions({ environment, ...options }: SessionOptions): RecordedOptions {
  return { ...options, ...(environment !== null && { environment }) };
}

type Opened = Extract<SessionEvent, { type: 'SessionOpened' }>['data'];

function opened(data: Opened, version: number): Session {
  const options: SessionOptions = { ...NO_OPTIONS, ...data.options };
  const { metadata, environmentVariableNames, idleTimeoutMs, maxLifeMs } = options;
  const openedAt = new Date(data.at);
  return {
    id: data.sessionId,
    version: version + 1,
    tenant: data.tenant,
    userUuid: data.userUuid,
    workerId: data.workerId,
    followsLoss: data.followsLoss,
    openedAt,
    hasOptions: data.options !== undefined,
    metadata,
    environmentVariableNames,
    idleTimeoutMs,
    maxLifeMs,
    egressAllow: options.egressAllow,
    environment: options.environment,
    expiresAt: maxLifeMs === null ? null : new Date(openedAt.getTime() + maxLifeMs),
    kernelRestarts: 0,
    kernelRestartedAt: null,
    closedAt: null,
    closeReason: null,
  };
}

/** When the session's life ends. @param maxLifeMs the life of a session without `expiresAt` */
export function expiryOf({ expiresAt, openedAt }: Session, maxLifeMs: number): Date {
  return expiresAt ?? new Date(openedAt.getTime() + maxLifeMs);
}

/** Whether it ended by itself and had options. Then no plain session takes its place until its user accepts the end. */
export function endedWithOptions({ hasOptions, closedAt, closeReason }: Session): boolean {
  return hasOptions && closedAt !== null && closeReason !== 'released';
}

/** A key that names one user among all tenants. Both parts are validated, so neither contains the separator U+0000. */
export function userKey(tenant: string, userUuid: string): string {
  return `${tenant}\u0000${userUuid}`;
}
