/** Contexts: kernels of a session with names, variables and queues of their own. */
import { randomInt } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import {
  type Context,
  type ContextCommand,
  type ContextEndReason,
  type ContextStatus,
  decideContext,
} from '../../domain/context.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import { type ContextId, parseId, type SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import { quoted } from '../../domain/text.ts';
import { WORKER_HOME } from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAgain, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { askWorker, type SessionFilesDeps } from '../files/sessionFiles.ts';
import { type Principal, sees } from '../principal.ts';
import { noContext } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type EnsureSessionDeps, ensureSession } from '../sessions/opening.ts';
import type { SessionOwner } from '../sessions/validateOptions.ts';
import {
  refuse,
  validateDirectory,
  validateName,
  validatePath,
  validateUserUuid,
} from '../validate.ts';
import {
  CARRY_OUT_LIMIT_MS,
  type CallerGone,
  unlessStopping,
  untilCarriedOut,
  untilInitialized,
} from '../waiting.ts';

/** A context as callers see it. The default context has no stream, but looks like the others. */
export interface ContextView {
  /** The default context has the id of its session. */
  readonly id: ContextId | SessionId;
  readonly sessionId: SessionId;
  readonly name: string | null;
  readonly isDefault: boolean;
  /** Absolute. */
  readonly workingDirectory: string;
  readonly status: ContextStatus;
  readonly createdAt: Date;
  readonly kernelRestarts: number;
  readonly endedAt: Date | null;
  readonly endReason: ContextEndReason | null;
}

export function contextViewOf(context: Context): ContextView {
  return {
    id: context.id,
    sessionId: context.sessionId,
    name: context.name,
    isDefault: false,
    workingDirectory: context.workingDirectory ?? WORKER_HOME,
    status: context.status,
    createdAt: context.createdAt,
    kernelRestarts: context.kernelRestarts,
    endedAt: context.endedAt,
    endReason: context.endReason,
  };
}

/**
 * The views of the open contexts of a session, the default one first.
 * @param others the contexts beside the default one
 */
export function viewsOf(session: Session, others: readonly Context[]): ContextView[] {
  return [defaultView(session), ...others.map(contextViewOf)];
}

/** The default context of a session lives as long as the session. */
export function defaultView(session: Session): ContextView {
  return {
    id: session.id,
    sessionId: session.id,
    name: null,
    isDefault: true,
    workingDirectory: WORKER_HOME,
    status: session.closedAt === null ? 'READY' : 'ENDED',
    createdAt: session.openedAt,
    kernelRestarts: session.kernelRestarts,
    endedAt: session.closedAt,
    endReason: session.closeReason,
  };
}

/** The same limit as for the name of a user (`validate.ts`). */
const MAX_NAME_CHARS = 128;

/** A caller's request for a context. */
interface ContextRequest {
  readonly userUuid: string;
  readonly name?: string | null | undefined;
  /** Relative to the home, or absolute. */
  readonly workingDirectory?: string | null | undefined;
  /** See {@link CallerGone}. */
  readonly gone?: CallerGone;
}

/** The properties that a new context is to have. */
interface AskedContext {
  readonly name: string | null;
  /** Absolute. Null: the home. */
  readonly workingDirectory: string | null;
}

/** @throws BAD_USER_INPUT */
function validateContext({ name, workingDirectory }: ContextRequest): AskedContext {
  return {
    name: name == null ? null : validateContextName(name),
    workingDirectory: workingDirectory == null ? null : validateContextDirectory(workingDirectory),
  };
}

function validateContextName(name: string): string {
  if (name === '') refuse('name', 'must not be empty; leave it out instead', {});
  validateName('name', name, MAX_NAME_CHARS);
  return name;
}

/** Null for the home, because a context begins there anyway. */
function validateContextDirectory(given: string): string | null {
  const directory = validateDirectory(given);
  return directory === WORKER_HOME ? null : directory;
}

/**
 * Resolves with the context once `isAsWanted` is true, or the context has ended.
 * @param late the beginning of the error's message, such as `The kernel was not replaced`. Null: after
 * {@link CARRY_OUT_LIMIT_MS}, resolves with the context as it is
 * @throws POOL_INITIALIZING after {@link CARRY_OUT_LIMIT_MS}, unless `late` is null
 */
async function untilContext(
  database: Pick<Database, 'queries' | 'wakeUps'>,
  id: ContextId,
  isAsWanted: (context: Context) => boolean,
  late: string | null,
): Promise<Context> {
  return await untilCarriedOut(database, {
    streamId: id,
    read: async () => {
      const [context] = await database.queries.contexts([id]);
      if (!context) throw new Error(`The context ${id} does not exist.`);
      return context;
    },
    isDone: (context) => context.endedAt !== null || isAsWanted(context),
    whenLate: (context) => {
      if (late === null) return context;
      throw tooLate(id, late);
    },
  });
}

function tooLate(contextId: ContextId, late: string): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    `${late} within ${CARRY_OUT_LIMIT_MS} ms. The request is recorded and will be carried out as soon as the worker answers.`,
    { contextId, retryAfterMs: RETRY_AFTER_MS },
  );
}

/**
 * The open context that a request names in the user's open session. Null: the default context. Unless `id` is null, the
 * user's session is then in the cache `sessions`.
 * @throws NOT_FOUND if the context belongs to another session, has ended or is being deleted
 */
export async function contextNamed(
  { database, sessions }: Pick<ServiceDeps, 'database' | 'sessions'>,
  { tenant, userUuid }: SessionOwner,
  id: ContextId | null,
): Promise<Context | null> {
  if (id === null) return null;
  const isOfSession = (context: Context | undefined) => {
    const session = sessions.get(tenant, userUuid);
    return session !== null && (context?.sessionId === session.id || isDefaultOf(session, id));
  };
  const [context] = await database.queries.contexts([id]);
  // Another gateway may have opened the session just now.
  if (!isOfSession(context)) await sessions.refresh(tenant, userUuid);
  const isOpen = !context || context.status === 'STARTING' || context.status === 'READY';
  if (!isOpen || !isOfSession(context)) throw noContext(id);
  return context ?? null;
}

/** The default context has the id of its session. */
export function isDefaultOf(session: Session, id: string): boolean {
  return session.id === id;
}

/**
 * Records a request for a context, which the gateway that holds the worker carries out.
 * @returns the context after the request. Null if nothing was recorded, because the context has ended or is being
 * deleted already
 */
async function recordContextRequest(
  { database: { queries, store }, now }: Pick<ServiceDeps, 'database' | 'now'>,
  id: ContextId,
  type: Extract<ContextCommand['type'], 'RequestContextRestart' | 'RequestContextDelete'>,
): Promise<Context | null> {
  const outcome = await decideAndCommit(store, {
    load: async () => (await queries.contexts([id]))[0] ?? null,
    decide: (state) => {
      const events = decideContext({ type, at: now().toISOString() }, state);
      return commitChanges({ streams: [{ stream: 'context', id, state, events }] });
    },
  });
  return outcome.type === 'committed' ? (outcome.committed.states[0] as Context) : null;
}

/**
 * Resolves if the directory exists.
 * @param directory absolute; null: the home, which always exists
 * @throws FILE_NOT_FOUND, NOT_A_DIRECTORY, and the other errors of `sessionFiles.ts`
 */
async function requireDirectory(
  deps: SessionFilesDeps,
  session: Session,
  directory: string | null,
): Promise<void> {
  if (directory === null) return;
  const path = validatePath(directory, 'workingDirectory');
  const ask = { follow: true };
  const { kind } = await askWorker(deps, session, path, (files) => files.stat(path.bytes, ask));
  if (kind === 'directory') return;
  throw new DomainError('NOT_A_DIRECTORY', `${quoted(path.text)} is no folder.`, {
    field: 'workingDirectory',
  });
}

/** Part of the error when the gateway stops during a call without a name. It says what becomes of the context. */
const IS_MADE =
  'The context is being made, and `contexts` lists it. The call had no name, so sending it again would make another one.';

type CreateContextDeps = EnsureSessionDeps & Pick<ServiceDeps, 'config' | 'stopping'>;

/**
 * Creates a context in the user's session. Resolves when its kernel is ready, or after 30 s with the context as it is.
 * Opens a session if there is none. A name makes the call safe to repeat: if an open context has the name, the call
 * resolves with that context. Works on any gateway.
 * @throws BAD_USER_INPUT, also if the open context of that name begins in another folder; CONTEXT_LIMIT,
 * CONTEXT_FAILED, NOT_FOUND, NOT_A_DIRECTORY, POOL_INITIALIZING, SHUTTING_DOWN, and the errors of
 * {@link ensureSession} and of `sessionFiles.ts`
 */
export async function createContext(
  deps: CreateContextDeps,
  { tenant }: Principal,
  request: ContextRequest,
): Promise<ContextView> {
  const owner = { tenant, userUuid: validateUserUuid(request.userUuid) };
  const asked = validateContext(request);
  await untilInitialized(deps.pool);
  const run = async (onAccepting: () => void) => {
    const context = await decideAgain(async (isAgain) => {
      if (isAgain) await deps.sessions.refresh(tenant, owner.userUuid);
      const session = await ensureSession(
        deps,
        owner,
        deps.config.workerWaitTimeoutMs,
        request.gone,
      );
      return await findOrCreate(deps, session, asked, onAccepting);
    });
    return contextViewOf(await untilReady(deps, context));
  };
  return await unlessStopping(deps, asked.name !== null, run, IS_MADE);
}

async function findOrCreate(
  deps: CreateContextDeps,
  session: Session,
  asked: AskedContext,
  onAccepting: () => void,
): Promise<Context> {
  const open = await deps.database.queries.openContexts([session.id]);
  const named = asked.name === null ? undefined : open.find(({ name }) => name === asked.name);
  if (named && named.status !== 'ENDING') return sameAs(named, asked);
  if (named) {
    // The name is free once that context has ended.
    await untilEnded(deps, named);
    throw new ConcurrencyError('context');
  }
  const slot = freeSlot(open, deps.config);
  await requireDirectory(deps, session, asked.workingDirectory);
  onAccepting();
  return await create(deps, session, { ...asked, slot });
}

async function create(
  { database, newId, now }: CreateContextDeps,
  { id: sessionId, version, workerId, tenant, userUuid }: Session,
  asked: AskedContext & { readonly slot: number },
): Promise<Context> {
  const id = newId<ContextId>();
  const at = now().toISOString();
  const who = { contextId: id, sessionId, workerId, tenant, userUuid };
  const events = decideContext({ type: 'CreateContext', at, ...who, ...asked }, null);
  const { states } = await database.store.commit({
    streams: [{ stream: 'context', id, state: null, events }],
    openSessions: [{ id: sessionId, version }],
  });
  return states[0] as Context;
}

/**
 * A random free slot, so that calls at the same time seldom choose the same one.
 * @throws CONTEXT_LIMIT
 */
function freeSlot(open: readonly Context[], { maxContexts }: Config): number {
  const taken = new Set(open.map(({ slot }) => slot));
  const free = Array.from({ length: maxContexts }, (_, slot) => slot).filter((n) => !taken.has(n));
  const slot = free[randomInt(Math.max(1, free.length))];
  if (slot !== undefined && open.length < maxContexts) return slot;
  throw new DomainError(
    'CONTEXT_LIMIT',
    `This session already has ${open.length} contexts beside its default one, and at most ${maxContexts} are allowed. Delete one first.`,
    { limit: maxContexts },
  );
}

function sameAs(named: Context, { workingDirectory }: AskedContext): Context {
  if (named.workingDirectory === workingDirectory) return named;
  throw new DomainError(
    'BAD_USER_INPUT',
    'workingDirectory differs from that of the open context with this name. Take another name, or delete that context first.',
    { field: 'workingDirectory', contextId: named.id },
  );
}

async function untilEnded({ database }: CreateContextDeps, { id }: Context): Promise<void> {
  await untilContext(database, id, () => false, 'The context of this name was not deleted');
}

async function untilReady({ database }: CreateContextDeps, { id }: Context): Promise<Context> {
  const isReady = ({ status }: Context) => status === 'READY';
  // A slow start is no error, because a caller who repeated the call would get another context each time.
  const context = await untilContext(database, id, isReady, null);
  if (context.endReason === null) return context;
  if (context.endReason === 'failed') throw failed(id);
  throw new DomainError(
    'NOT_FOUND',
    `The context was ended before its kernel was ready (${context.endReason}).`,
    { contextId: id },
  );
}

function failed(contextId: ContextId): DomainError {
  return new DomainError(
    'CONTEXT_FAILED',
    'No kernel of the context could be started. Either the processes or the memory of the worker are used up (WORKER_PIDS, WORKER_MEMORY_MB), or its folder has just vanished.',
    { contextId },
  );
}

/**
 * Deletes a context of the user's open session, and resolves when its kernel and all processes that the kernel started
 * are gone. An execution that runs in the context ends as INTERRUPTED, queued ones as CANCELLED. Works on any gateway.
 * Idempotent.
 * @returns false if there was no such open context, or if it ended for another reason
 * @throws BAD_USER_INPUT for the default context, POOL_INITIALIZING
 */
export async function deleteContext(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  { tenant }: Principal,
  userUuid: string,
  given: string,
): Promise<boolean> {
  const { queries } = deps.database;
  const session = await queries.openSession(tenant, validateUserUuid(userUuid));
  const id = parseId<ContextId>(given);
  if (session === null || id === null) return false;
  if (isDefaultOf(session, id)) throw isDefault();
  const [context] = await queries.contexts([id]);
  if (!context || context.sessionId !== session.id || context.endedAt !== null) return false;
  await recordContextRequest(deps, id, 'RequestContextDelete');
  const ended = await untilContext(deps.database, id, () => false, 'The context was not deleted');
  return ended.endReason === 'deleted';
}

function isDefault(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    'contextId is the default context, which ends with its session. `restartKernel` empties it, and `release` ends the session.',
    { field: 'contextId' },
  );
}

/**
 * Asks for a fresh kernel of the context, and resolves with the context when its kernel was replaced. Works on any
 * gateway, as a restart of the default kernel does (kernels.ts).
 * @throws NOT_FOUND, POOL_INITIALIZING
 */
export async function requestContextRestart(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  { id }: Context,
): Promise<Context> {
  const requested = await recordContextRequest(deps, id, 'RequestContextRestart');
  if (requested === null) throw noContext(id);
  const { kernelRestarts } = requested;
  const context = await untilContext(
    deps.database,
    id,
    (each) => each.kernelRestarts > kernelRestarts,
    'The kernel was not replaced',
  );
  if (context.kernelRestarts === kernelRestarts) throw noContext(id);
  return context;
}

/** The open contexts of the user's open session, the default one first. Empty if there is no open session. */
export async function contexts(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<ContextView[]> {
  const session = await queries.openSession(tenant, validateUserUuid(userUuid));
  if (session === null) return [];
  return viewsOf(session, await queries.openContexts([session.id]));
}

/**
 * The context with this id, open or ended. A default context has the id of its session. Null if there is none, or if
 * the principal does not see it.
 */
export async function context(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  given: string,
): Promise<ContextView | null> {
  const id = parseId<ContextId & SessionId>(given);
  if (id === null) return null;
  const [found] = await queries.contexts([id]);
  if (found) return sees(principal, found) ? contextViewOf(found) : null;
  const session = await queries.session(id);
  return session && sees(principal, session) ? defaultView(session) : null;
}
