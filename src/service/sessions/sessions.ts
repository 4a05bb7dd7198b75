/** The operations on sessions. */
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import { parseId, type SessionId } from '../../domain/ids.ts';
import {
  decideSession,
  differences,
  endedWithOptions,
  expiryOf,
  type Session,
} from '../../domain/session.ts';
import type { WorkerUsage } from '../../domain/worker.ts';
import { decideAgain, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { actorOf } from '../access/actorDeps.ts';
import type { OpenSessions } from '../openSessions.ts';
import { type Principal, sees } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid, validateWait, validateWholeNumber } from '../validate.ts';
import { type CallerGone, unlessStopping, untilInitialized } from '../waiting.ts';
import { commitOpening, inNewSession, type NewSessionDeps, workerAway } from './opening.ts';
import type { SessionUses } from './sessionUses.ts';
import {
  type AskedOptions,
  type OptionsRequest,
  type SessionOwner,
  validateOptions,
} from './validateOptions.ts';

/** The user's last session, open or closed. Null if the user never had one. */
export async function session(
  { database }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<Session | null> {
  return await database.queries.lastSession(tenant, validateUserUuid(userUuid));
}

/** The session with this id, open or closed. Null if there is none, or if the principal does not see it. */
export async function sessionById(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  given: string,
): Promise<Session | null> {
  const id = parseId<SessionId>(given);
  const found = id === null ? null : await database.queries.session(id);
  return found && sees(principal, found) ? found : null;
}

interface OpenSessionRequest extends OptionsRequest {
  readonly userUuid: string;
  readonly waitForWorkerMs?: number | null | undefined;
  /** See {@link CallerGone}. */
  readonly gone?: CallerGone;
}

/**
 * Opens the user's session with options, or gives the open one if its options are the same. Resolves when the session
 * has its worker. No code is run, so the call may be repeated.
 * @throws BAD_USER_INPUT, SESSION_OPTIONS_DIFFER, POOL_INITIALIZING, QUOTA_EXCEEDED, POOL_EXHAUSTED,
 * WORKER_START_FAILED; NOT_FOUND and ENVIRONMENT_NOT_READY for the environment
 */
export async function openSession(
  deps: NewSessionDeps & Pick<ServiceDeps, 'sessions' | 'config' | 'stopping'>,
  { tenant }: Principal,
  request: OpenSessionRequest,
): Promise<Session> {
  const owner = { tenant, userUuid: validateUserUuid(request.userUuid) };
  const asked = validateOptions(request, deps.config, tenant);
  const waitForWorkerMs = validateWait(request.waitForWorkerMs, deps.config);
  await untilInitialized(deps.pool);
  return await unlessStopping(deps, true, () =>
    openOrFind(deps, owner, asked, { waitForWorkerMs, gone: request.gone }),
  );
}

async function openOrFind(
  deps: NewSessionDeps & Pick<ServiceDeps, 'sessions'>,
  owner: SessionOwner,
  asked: AskedOptions,
  wait: { readonly waitForWorkerMs: number; readonly gone: CallerGone },
): Promise<Session> {
  return await decideAgain(async (isAgain) => {
    if (isAgain) await deps.sessions.refresh(owner.tenant, owner.userUuid);
    const open = deps.sessions.get(owner.tenant, owner.userUuid);
    if (open) return await find(deps, open, asked);
    return await inNewSession(deps, owner, {
      act: (opening) => commitOpening(deps, opening, asked.variables),
      adds: ['OPEN_SESSIONS'],
      ...wait,
      options: asked.options,
    });
  });
}

/** The open session, if its options are those asked for. The call counts as a use. */
async function find(
  { database: { queries }, now }: NewSessionDeps,
  { id }: Session,
  asked: AskedOptions,
): Promise<Session> {
  const isOpen = await queries.touchSession(id, now());
  const session = isOpen ? await queries.session(id) : null;
  // The session that this gateway knew has ended.
  if (!session || session.closedAt !== null) throw new ConcurrencyError('session');
  const different = differences(session, asked.options);
  different.push(...(await differentVariables(queries, session, asked)));
  if (different.length === 0) return session;
  throw new DomainError(
    'SESSION_OPTIONS_DIFFER',
    `This user's open session has other options: ${different.join(', ')}. Ask for the same options, or release the session first.`,
    { sessionId: id, options: different },
  );
}

/** The variables that both the session and the request have, with different values. */
async function differentVariables(
  queries: NewSessionDeps['database']['queries'],
  { id, environmentVariableNames }: Session,
  { variables }: AskedOptions,
): Promise<string[]> {
  const both = environmentVariableNames.filter((name) => Object.hasOwn(variables, name));
  if (both.length === 0) return [];
  const stored = await queries.sessionVariables(id);
  if (stored === null) throw new ConcurrencyError('session');
  return both
    .filter((name) => stored[name] !== variables[name])
    .map((name) => `environmentVariables.${name}`);
}

type Deps = Pick<ServiceDeps, 'database' | 'config' | 'now'>;

/**
 * Moves the end of the life of the user's open session to `lifeMs` from now: later or earlier than before. A session
 * may live at most LONGEST_SESSION_LIFE_MS from its opening.
 * @throws BAD_USER_INPUT, NOT_FOUND
 */
export async function extendSession(
  deps: Deps,
  principal: Principal,
  userUuid: string,
  lifeMs: number,
): Promise<Session> {
  const longest = deps.config.longestSessionLifeMs;
  return await changeLife(deps, principal, { userUuid, lifeMs }, (session, at) => {
    const livedMs = at.getTime() - session.openedAt.getTime();
    // The session may be older than LONGEST_SESSION_LIFE_MS, because SESSION_MAX_LIFE_MS may be longer. Even then,
    // `lifeMs` may be 0.
    validateWholeNumber('lifeMs', lifeMs, { min: 0, max: Math.max(0, longest - livedMs) });
    return new Date(at.getTime() + lifeMs);
  });
}

/**
 * Makes the user's open session live for at least `lifeMs` from now, but at most LONGEST_SESSION_LIFE_MS from its
 * opening. Never moves its end to an earlier time.
 * @throws BAD_USER_INPUT, NOT_FOUND
 */
export async function prolongSession(
  deps: Deps,
  principal: Principal,
  userUuid: string,
  lifeMs: number,
): Promise<Session> {
  const { longestSessionLifeMs: longest, sessionMaxLifeMs } = deps.config;
  return await changeLife(deps, principal, { userUuid, lifeMs }, (session, at) => {
    const latest = session.openedAt.getTime() + longest;
    const wanted = new Date(Math.min(at.getTime() + lifeMs, latest));
    return wanted > expiryOf(session, sessionMaxLifeMs) ? wanted : null;
  });
}

/** @param endOf returns the new end of the session's life. Null: unchanged. Pure */
async function changeLife(
  { database: { queries, store }, config, now }: Deps,
  { tenant }: Principal,
  { userUuid, lifeMs }: { readonly userUuid: string; readonly lifeMs: number },
  endOf: (session: Session, at: Date) => Date | null,
): Promise<Session> {
  validateUserUuid(userUuid);
  validateWholeNumber('lifeMs', lifeMs, { min: 0, max: config.longestSessionLifeMs });
  const outcome = await decideAndCommit<Session, Session>(store, {
    load: async () => {
      const session = await queries.openSession(tenant, userUuid);
      if (session === null) throw notFound('open session of user', userUuid);
      return session;
    },
    decide: (session) => {
      const at = now();
      const end = endOf(session, at);
      if (end === null) return { type: 'refuse', refusal: session };
      const command = { type: 'ChangeSessionLife', at: at.toISOString() } as const;
      const events = decideSession({ ...command, expiresAt: end.toISOString() }, session);
      const append = { stream: 'session', id: session.id, state: session, events } as const;
      return { type: 'commit', commit: { streams: [append] } };
    },
  });
  return outcome.type === 'refused' ? outcome.refusal : (outcome.committed.states[0] as Session);
}

/**
 * Ends the user's session and its worker. Null if the user had no open session. If the user's last session had options
 * and has ended by itself, the call records that the user accepts its end. The next call then opens a session without
 * options.
 */
export async function release(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  principal: Principal,
  userUuid: string,
): Promise<Session | null> {
  const session = await queries.lastSession(principal.tenant, validateUserUuid(userUuid));
  if (session === null) return null;
  if (session.closedAt === null)
    return await pool.closeSession(session, 'released', actorOf(principal));
  if (endedWithOptions(session)) await queries.acceptEnd(session.id);
  return null;
}

export interface CountUseDeps {
  readonly sessions: Pick<OpenSessions, 'get'>;
  readonly sessionUses: Pick<SessionUses, 'use'>;
}

/** Counts a call for an unfinished execution as a use of its session, if this gateway knows the session as open. */
export async function countUse(
  { sessions, sessionUses }: CountUseDeps,
  { tenant, userUuid, sessionId, finishedAt }: Execution,
): Promise<void> {
  if (finishedAt !== null) return;
  const session = sessions.get(tenant, userUuid);
  if (session?.id === sessionId) await sessionUses.use(session);
}

/**
 * The resources that the worker of the user's open session uses now. The worker reports them itself, so a hostile one
 * may report anything. The call does not count as a use of the session. Null: there is no open session.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING if the worker does not answer
 */
export async function workerUsage(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<WorkerUsage | null> {
  const session = await queries.openSession(tenant, validateUserUuid(userUuid));
  const worker = session && (await queries.worker(session.workerId));
  if (!worker) return null;
  try {
    return await pool.usageOf(worker);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}

export interface WatchedSession {
  readonly session: Session;
  /** Whether this gateway knows that the session has ended. */
  readonly hasEnded: boolean;
  /**
   * Calls the listener once, as soon as this gateway learns that the session has ended, at whichever gateway. Returns a
   * function that removes the listener.
   */
  onEnd(listener: () => void): () => void;
}

/**
 * The user's open session, and a notice of its end. If this gateway knows the session, nothing is read. So the session
 * may have ended a moment ago, and then the caller's next operation in it fails.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session
 */
export async function watchSession(
  { sessions }: Pick<ServiceDeps, 'sessions'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<WatchedSession> {
  validateUserUuid(userUuid);
  if (sessions.get(tenant, userUuid) === null) await sessions.refresh(tenant, userUuid);
  const session = sessions.get(tenant, userUuid);
  if (session === null) throw notFound('open session of user', userUuid);
  const hasEnded = () => sessions.get(tenant, userUuid)?.id !== session.id;
  return {
    session,
    get hasEnded() {
      return hasEnded();
    },
    onEnd: (listener) => {
      if (!hasEnded()) return sessions.onEnd(session.id, listener);
      listener();
      return () => {};
    },
  };
}
