/** Open contexts under the name that notebooks use: kernels. A kernel can be asked about code without running it. */
import { within } from '../../async/within.ts';
import type { Context } from '../../domain/context.ts';
import { DomainError } from '../../domain/errors.ts';
import { type ContextId, type ExecutionId, parseId, type SessionId } from '../../domain/ids.ts';
import type {
  HistoryQuestion,
  KernelAnswer,
  KernelFacts,
  KernelQuestion,
} from '../../domain/kernelQuestion.ts';
import { decideSession, type Session } from '../../domain/session.ts';
import { both, type Users } from '../../domain/users.ts';
import type { KernelActivity } from '../../events/queries/sessionQueries.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { type Principal, sees } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { workerAway } from '../sessions/opening.ts';
import type { SessionOwner } from '../sessions/validateOptions.ts';
import { parseContextId, refuse, validateUserUuid, validateWholeNumber } from '../validate.ts';
import { CARRY_OUT_LIMIT_MS, untilCarriedOut } from '../waiting.ts';
import {
  type ContextView,
  contextNamed,
  contextViewOf,
  defaultView,
  isDefaultOf,
  requestContextRestart,
} from './contexts.ts';

/** The user's open session, from memory if this gateway knows it. Null: there is none. */
export async function openSessionOf(
  { sessions }: Pick<ServiceDeps, 'sessions'>,
  { tenant, userUuid }: SessionOwner,
): Promise<Session | null> {
  const known = sessions.get(tenant, userUuid);
  if (known) return known;
  // Another gateway may have opened it just now.
  await sessions.refresh(tenant, userUuid);
  return sessions.get(tenant, userUuid);
}

/** Far more than a cell of a notebook has. An agent accepts as many characters. */
const MAX_CODE_BYTES = 262_144;
const MAX_PATTERN_CHARS = 1_000;
const MAX_COUNT = 2 ** 31 - 1;

/** @throws BAD_USER_INPUT */
function validateQuestion(question: KernelQuestion): void {
  if (question.type === 'history') {
    validateHistory(question);
    return;
  }
  const bytes = Buffer.byteLength(question.code);
  if (bytes > MAX_CODE_BYTES)
    refuse('code', `is ${bytes} bytes of UTF-8, at most ${MAX_CODE_BYTES} are allowed`, {
      limit: MAX_CODE_BYTES,
    });
  if (question.type === 'isComplete') return;
  const max = [...question.code].length;
  validateWholeNumber('cursor', question.cursor, { min: 0, max });
  if (question.type === 'inspect')
    validateWholeNumber('detail', question.detail, { min: 0, max: 1 });
}

function validateHistory({ pattern = '', ...numbers }: HistoryQuestion): void {
  if (pattern.length > MAX_PATTERN_CHARS)
    refuse(
      'pattern',
      `has ${pattern.length} characters, at most ${MAX_PATTERN_CHARS} are allowed`,
      {
        limit: MAX_PATTERN_CHARS,
      },
    );
  for (const name of ['count', 'start', 'stop', 'session'] as const) {
    const value = numbers[name];
    if (value !== undefined) validateWholeNumber(name, value, { min: -MAX_COUNT, max: MAX_COUNT });
  }
}

/** Short, because a user who types waits for the answer. */
const ANSWER_LIMIT_MS = 2_000;

interface KernelRequest {
  readonly userUuid: string;
  /** Null or left out: the default context. */
  readonly contextId?: string | null | undefined;
  readonly question: KernelQuestion;
}

/**
 * Asks a kernel of the user's open session a question, while the kernel runs nothing. Resolves within
 * {@link ANSWER_LIMIT_MS}. Null: there is no session, the kernel runs code or is not ready, or the answer takes too
 * long. A question is not recorded, opens no session, and does not count as a use of the session
 * (docs/decisions/0062-questions-are-no-executions.md).
 * @throws BAD_USER_INPUT; NOT_FOUND for a context that is not open
 */
export async function askKernel(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'pool'>,
  { tenant }: Principal,
  { userUuid, contextId, question }: KernelRequest,
): Promise<KernelAnswer | null> {
  const owner = { tenant, userUuid: validateUserUuid(userUuid) };
  const named = parseContextId(contextId);
  validateQuestion(question);
  const answer = async () => {
    const session = await openSessionOf(deps, owner);
    if (session === null) return null;
    await contextNamed(deps, owner, named);
    const worker = await deps.database.queries.worker(session.workerId);
    const inContext = named === null || isDefaultOf(session, named) ? null : named;
    return worker && (await deps.pool.askKernel(worker, { contextId: inContext, question }));
  };
  return await within(ANSWER_LIMIT_MS, answer(), () => null);
}

/**
 * The facts about the kernels of the user's open session. A worker is asked only at the first call, and answers even
 * while code runs. Null: there is no open session, or its worker does not report them.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING if the worker does not answer
 */
export async function kernelInfo(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'pool'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<KernelFacts | null> {
  const session = await openSessionOf(deps, { tenant, userUuid: validateUserUuid(userUuid) });
  const worker = session && (await deps.database.queries.worker(session.workerId));
  if (!worker) return null;
  try {
    return await deps.pool.kernelFactsOf(worker);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}

/** An open context, its owner, and its activity. */
export interface KernelView {
  readonly context: ContextView;
  readonly tenant: string;
  readonly userUuid: string;
  /** The name of the environment of its session. Null: none. */
  readonly environment: string | null;
  /** When an execution of the session last ended, or when the context was created, whichever is later. */
  readonly lastActivityAt: Date;
  /** Its executions that have not ended, in the order of acceptance. */
  readonly unfinished: readonly ExecutionId[];
}

interface OpenKernel {
  readonly session: Session;
  /** Null: the default context. */
  readonly context: Context | null;
}

/** The views of open contexts, in their order. */
async function kernelViews(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  kernels: readonly OpenKernel[],
): Promise<KernelView[]> {
  if (kernels.length === 0) return [];
  const sessionIds = [...new Set(kernels.map(({ session }) => session.id))];
  const activities = await queries.kernelActivity(sessionIds);
  const bySession = new Map(activities.map((activity) => [activity.sessionId, activity]));
  return kernels.map(({ session, context }) => {
    const view = context === null ? defaultView(session) : contextViewOf(context);
    const { tenant, userUuid, environment } = session;
    return {
      context: view,
      tenant,
      userUuid,
      environment,
      ...activityOf(view, bySession.get(session.id)),
    };
  });
}

function activityOf(
  { id, createdAt }: ContextView,
  activity: KernelActivity | undefined,
): Pick<KernelView, 'lastActivityAt' | 'unfinished'> {
  const { lastFinishedAt = null, unfinished = [] } = activity ?? {};
  const isLater = lastFinishedAt !== null && lastFinishedAt > createdAt;
  return {
    lastActivityAt: isLater ? lastFinishedAt : createdAt,
    unfinished: unfinished.filter(({ contextId }) => contextId === id).map((each) => each.id),
  };
}

/**
 * The open context with this id, of any user that the principal sees. Otherwise null, also if the id is malformed or
 * the context has ended.
 */
export async function kernel(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  id: string,
): Promise<KernelView | null> {
  const found = await openKernel(deps, id);
  if (found === null || !sees(principal, found.session)) return null;
  const [view] = await kernelViews(deps, [found]);
  return view ?? null;
}

/** The open context with this id. A default context has the id of its session. */
async function openKernel(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  given: string,
): Promise<OpenKernel | null> {
  const id = parseId<ContextId>(given);
  if (id === null) return null;
  const [context] = await queries.contexts([id]);
  const session = await queries.session(context?.sessionId ?? (given as SessionId));
  if (session === null || session.closedAt !== null) return null;
  if (context && (context.endedAt !== null || context.status === 'ENDING')) return null;
  return { session, context: context ?? null };
}

/** The most sessions that are read. Each has a worker, so an installation has no more (MAX_TOTAL_WORKERS). */
const MAX_SESSIONS = 1_000;

/** The open contexts of these users, the default one of each session first. */
export async function kernels(
  deps: Pick<ServiceDeps, 'database'>,
  { tenant, users: own }: Principal,
  asked: Users,
): Promise<KernelView[]> {
  const users = own === null ? asked : both(own, asked);
  if (users === null) return [];
  const { queries } = deps.database;
  const any = { userUuid: null, from: null, environment: null, metadata: null };
  const range = { isOldestFirst: false, after: null, limit: MAX_SESSIONS };
  const placed = await queries.sessionPage({ tenant, users, isOpen: true, ...any }, range);
  const sessions = placed.map(({ item }) => item);
  const contexts = await queries.openContexts(sessions.map(({ id }) => id));
  const open = sessions.flatMap((session) => [
    { session, context: null },
    ...contexts
      .filter(({ sessionId, status }) => sessionId === session.id && status !== 'ENDING')
      .map((context) => ({ session, context })),
  ]);
  return await kernelViews(deps, open);
}

// A kernel restart that works on any gateway, in the same way as an interrupt (interrupt.ts).

/** Resolves with the session after a restart, or with null if the session is closed. @throws POOL_INITIALIZING */
export async function requestKernelRestart(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  session: Session,
): Promise<Session | null> {
  const requested = await record(deps, session);
  return requested && (await replaced(deps, requested));
}

async function record(
  { database, now }: Pick<ServiceDeps, 'database' | 'now'>,
  { id }: Session,
): Promise<Session | null> {
  const outcome = await decideAndCommit(database.store, {
    load: () => database.queries.session(id),
    decide: (state) => {
      const command = { type: 'RequestKernelRestart', at: now().toISOString() } as const;
      const events = decideSession(command, state);
      return commitChanges({ streams: [{ stream: 'session', id, state, events }] });
    },
  });
  return outcome.type === 'committed' ? (outcome.committed.states[0] as Session) : null;
}

/** Null: the session was closed. */
async function replaced(
  { database }: Pick<ServiceDeps, 'database' | 'now'>,
  { id, kernelRestarts }: Session,
): Promise<Session | null> {
  const session = await untilCarriedOut(database, {
    streamId: id,
    read: () => database.queries.session(id),
    isDone: (state) =>
      state === null || state.closedAt !== null || state.kernelRestarts > kernelRestarts,
    whenLate: () => {
      throw notYet();
    },
  });
  return session?.closedAt === null ? session : null;
}

function notYet(): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    `The kernel was not replaced within ${CARRY_OUT_LIMIT_MS} ms. The request is recorded and will be carried out as soon as the worker answers. The session's \`kernelRestarts\` will then have grown.`,
  );
}

/**
 * Replaces a kernel of the user's open session.
 * @param contextId the context whose kernel is replaced. Null or left out: the default one
 * @throws BAD_USER_INPUT, NOT_FOUND, POOL_INITIALIZING
 */
export async function restartKernel(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'now'>,
  { tenant }: Principal,
  userUuid: string,
  contextId?: string | null,
): Promise<Session> {
  const owner = { tenant, userUuid: validateUserUuid(userUuid) };
  const session = await deps.database.queries.openSession(tenant, userUuid);
  if (session === null) throw notFound('open session of user', userUuid);
  const context = await contextNamed(deps, owner, parseContextId(contextId));
  if (context) {
    await requestContextRestart(deps, context);
    return session;
  }
  const restarted = await requestKernelRestart(deps, session);
  if (!restarted) throw notFound('open session of user', userUuid);
  return restarted;
}
