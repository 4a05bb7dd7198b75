/**
 * Accepts a request: validates it, and records it in the user's open session, or in a new one for which a worker is
 * claimed. A new session and its first request are one commit. The steps are in the order in which they happen.
 */

import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import { decideExecution, type Execution, queueOf } from '../../domain/execution.ts';
import { type ExecutionOptions, isCommand } from '../../domain/executionOptions.ts';
import type { ContextId, ExecutionId } from '../../domain/ids.ts';
import { QuotaError } from '../../domain/quota.ts';
import { requestFacts } from '../../domain/requestFacts.ts';
import type { Session } from '../../domain/session.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import { type Commit, LimitError, type StreamAppend } from '../../events/store/eventStore.ts';
import { contextNamed } from '../contexts/contexts.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import {
  hasFeature,
  inNewSession,
  lacksFeature,
  type Opening,
  requireOfClaimed,
  type WorkerFeature,
} from '../sessions/opening.ts';
import { untilInitialized } from '../waiting.ts';
import { type ExecuteRequest, type ValidRequest, validateRequest } from './validateRequest.ts';

export type AcceptRequestDeps = Pick<
  ServiceDeps,
  | 'config'
  | 'database'
  | 'pool'
  | 'sessions'
  | 'requestHashes'
  | 'quotas'
  | 'newId'
  | 'now'
  | 'tokenEnd'
>;

export type RunDeps = AcceptRequestDeps & Pick<ServiceDeps, 'finishWaiters'>;

export interface AcceptedExecution {
  readonly execution: Execution;
  /** Must be called when nobody waits for the execution any more. */
  readonly unfollow: () => void;
}

/**
 * Accepts code, and begins to follow the execution before it is recorded. So if this gateway holds the worker, a caller
 * gets the end of the execution without a read from the database. If this rejects, nothing is followed.
 * @param onAccepting as for {@link acceptRequest}
 */
export async function acceptFollowed(
  deps: RunDeps,
  principal: Principal,
  request: ExecuteRequest,
  onAccepting: () => void,
): Promise<AcceptedExecution> {
  const id = deps.newId<ExecutionId>();
  const unfollow = deps.finishWaiters.follow(id);
  try {
    return { execution: await acceptRequest(deps, principal, request, onAccepting, id), unfollow };
  } catch (error: unknown) {
    unfollow();
    throw error;
  }
}

/**
 * Validates a caller's request and records it. Resolves with the execution as recorded, or with the one that already
 * holds the idempotency key.
 * @param onAccepting called right before the request is recorded. Nothing has happened until then. Called again if
 * another writer was first.
 * @param id the id of the execution, if the request is recorded
 * @throws BAD_USER_INPUT, also if the session's worker lacks a feature that the request needs; NOT_FOUND for a context
 * that is not open; POOL_INITIALIZING, SESSION_ENDED, POOL_EXHAUSTED, WORKER_START_FAILED, QUEUE_FULL, QUOTA_EXCEEDED,
 * IDEMPOTENCY_CONFLICT
 */
export async function acceptRequest(
  deps: AcceptRequestDeps,
  { tenant }: Principal,
  asked: ExecuteRequest,
  onAccepting: () => void,
  id: ExecutionId = deps.newId(),
): Promise<Execution> {
  const request = validateRequest(asked, deps.config);
  await untilInitialized(deps.pool);
  const owner = { tenant, userUuid: request.userUuid };
  return await decideAgain(async (isAgain) => {
    // The user may have another session by now.
    if (isAgain) await deps.sessions.refresh(tenant, owner.userUuid);
    const earlier = await underSameKey(deps, tenant, request);
    if (earlier) return earlier;
    const context = await contextNamed(deps, owner, request.contextId);
    const contextId = context?.id ?? null;
    const session = deps.sessions.get(tenant, owner.userUuid);
    const accepting: Accepting = { id, request, contextId, onAccepting };
    try {
      const queue = session && { sessionId: session.id, language: request.language, contextId };
      await deps.quotas.requireOneExecution(owner, queue);
      if (session) return await requestIn(deps, session, accepting);
      return await inNewSession(deps, owner, {
        act: (opening) => openAndRequest(deps, opening, accepting),
        adds: ['OPEN_SESSIONS', 'RUNNING_EXECUTIONS', 'EXECUTIONS_PER_MINUTE'],
        waitForWorkerMs: request.waitForWorkerMs,
        options: null,
        gone: asked.gone,
      });
    } catch (error: unknown) {
      if (!(error instanceof QuotaError)) throw error;
      // The same call may have arrived twice, and its first copy may have taken the last place.
      const accepted = await underSameKey(deps, tenant, request);
      if (accepted) return accepted;
      throw error;
    }
  });
}

/** A request that is about to be recorded. */
interface Accepting {
  readonly id: ExecutionId;
  readonly request: ValidRequest;
  /** Null: the default context. */
  readonly contextId: ContextId | null;
  readonly onAccepting: () => void;
}

/**
 * The facts that have another name in the input of callers. The name of a fact cannot change, because its hash is
 * stored under that name.
 */
const INPUT_NAMES: ReadonlyMap<string, string> = new Map([['stopOnError', 'cancelQueuedOnError']]);

/**
 * The execution that holds the request's idempotency key. Null: none does, or the request has no key.
 * @throws IDEMPOTENCY_CONFLICT if the key was used for another request
 */
async function underSameKey(
  { database: { queries }, requestHashes }: Pick<ServiceDeps, 'database' | 'requestHashes'>,
  tenant: string,
  request: ValidRequest,
): Promise<Execution | null> {
  const { userUuid, idempotencyKey: key } = request;
  if (key === null) return null;
  const holder = await queries.idempotencyKey(tenant, userUuid, key);
  if (!holder) return null;
  const { executionId, requestHash } = holder;
  const facts = requestFacts(request);
  const different = requestHashes
    .differences({ tenant, userUuid, key }, facts, requestHash)
    .map((name) => INPUT_NAMES.get(name) ?? name);
  if (different.length === 0) return await queries.execution(executionId);
  throw new DomainError(
    'IDEMPOTENCY_CONFLICT',
    `idempotencyKey was used by this user for another request (execution ${executionId}). Different: ${different.join(', ')}. Take a new key.`,
    { field: 'idempotencyKey', executionId, different },
  );
}

/** Records the request in an open session. The commit names the version of the session that this gateway knows. */
async function requestIn(
  deps: AcceptRequestDeps,
  session: Session,
  { id, request, contextId, onAccepting }: Accepting,
): Promise<Execution> {
  await requireFeatures(deps, session, request);
  const { language } = request;
  const maxUnfinished = runningAtOnce(deps, request) + deps.config.maxQueuedExecutions;
  // A quick check without the database, for a worker that this gateway holds. The commit checks the limit over all
  // gateways.
  const held = deps.pool.heldWorkers.get(session.workerId);
  const unfinished = held?.unfinishedIn(queueOf({ language, contextId })) ?? 0;
  if (unfinished >= maxUnfinished) throw queueFull(deps, request, unfinished);
  // A call other than an execution may have opened the session after a loss. The session's first execution reports the
  // loss.
  const tellsLoss = contextId === null && !isCommand(request) && session.followsLoss;
  const stateLost = tellsLoss && !(await deps.sessions.hasExecution(session));
  const append = requestAppend(deps, session, request, { id, contextId, stateLost });
  onAccepting();
  try {
    const { states } = await deps.quotas.commit(deps.database.store, session, {
      streams: [append],
      openSessions: [{ id: session.id, version: session.version }],
      maxUnfinished,
      // If two executions are accepted at the same time, only one of them may report the loss, even if it has ended
      // before the other one is recorded.
      isFirstExecution: stateLost,
      ...besideEvents(deps, session.tenant, request, id),
    });
    return states[0] as Execution;
  } catch (error: unknown) {
    throw error instanceof LimitError ? queueFull(deps, request, error.count - 1) : error;
  }
}

/** Records the request together with its new session. */
async function openAndRequest(
  deps: AcceptRequestDeps,
  { owner, sessionId, worker, followsLoss, streams }: Opening,
  { id, request, onAccepting }: Accepting,
): Promise<Execution> {
  await requireOfClaimed(deps, worker, neededFeatures(request));
  const session = { id: sessionId, workerId: worker.id, tenant: owner.tenant };
  const facts = { id, contextId: null, stateLost: followsLoss && !isCommand(request) };
  const append = requestAppend(deps, session, request, facts);
  onAccepting();
  const { states } = await deps.quotas.commit(deps.database.store, owner, {
    streams: [...streams, append],
    ...besideEvents(deps, owner.tenant, request, id),
  });
  return states[streams.length] as Execution;
}

function requestAppend(
  deps: AcceptRequestDeps,
  { id: sessionId, workerId, tenant }: Pick<Session, 'id' | 'workerId' | 'tenant'>,
  request: ValidRequest,
  { id, contextId, stateLost }: Pick<Execution, 'id' | 'contextId' | 'stateLost'>,
): StreamAppend {
  const { userUuid, code, codeSha256, codeBytes, timeoutMs, idempotencyKey } = request;
  const events = decideExecution(
    {
      type: 'RequestExecution',
      at: deps.now().toISOString(),
      executionId: id,
      sessionId,
      workerId,
      tenant,
      userUuid,
      code,
      codeSha256,
      codeBytes,
      timeoutMs,
      maxOutputBytes: deps.config.maxOutputBytes,
      idempotencyKey,
      stateLost,
      ...optionsOf(request, contextId),
    },
    null,
  );
  return { stream: 'execution', id, state: null, events };
}

/** The options of the request as its event records them. Empty for plain code. */
function optionsOf(request: ValidRequest, contextId: ContextId | null): ExecutionOptions {
  const { keepAlive, stopOnError, allowInput, pty, workingDirectory, environmentVariables } =
    request;
  const { label, silent, storeHistory, userExpressions } = request;
  const environmentVariableNames = Object.keys(environmentVariables).sort();
  return {
    ...(isCommand(request) && { language: 'BASH' }),
    ...(contextId !== null && { contextId }),
    ...(keepAlive && { keepAlive }),
    ...(stopOnError && { stopOnError }),
    ...(allowInput && { allowInput }),
    ...(pty !== null && { pty }),
    ...(workingDirectory !== null && { workingDirectory }),
    ...(environmentVariableNames.length > 0 && { environmentVariableNames }),
    ...(label !== null && { label }),
    ...(silent && { silent }),
    ...(!silent && !storeHistory && { storeHistory }),
    ...(userExpressions.length > 0 && { userExpressions }),
  };
}

/**
 * The parts of the request that are stored in no event: its environment variables, and its claim of the idempotency
 * key.
 */
function besideEvents(
  { requestHashes }: Pick<ServiceDeps, 'requestHashes'>,
  tenant: string,
  request: ValidRequest,
  executionId: ExecutionId,
): Pick<Commit, 'executionVariables' | 'idempotency'> {
  const { environmentVariables: values, idempotencyKey: key, userUuid } = request;
  const name = key !== null && { tenant, userUuid, key };
  return {
    ...(Object.keys(values).length > 0 && { executionVariables: { executionId, values } }),
    ...(name && {
      idempotency: {
        ...name,
        requestHash: requestHashes.of(name, requestFacts(request)),
        executionId,
      },
    }),
  };
}

/**
 * Requires that the session's worker has the features that the request needs. An agent without them would not report a
 * command's process id, and could not send every signal to the command.
 * @throws BAD_USER_INPUT, POOL_INITIALIZING
 */
async function requireFeatures(
  deps: Pick<ServiceDeps, 'database' | 'pool'>,
  { workerId }: Session,
  request: ValidRequest,
): Promise<void> {
  const unknown = neededFeatures(request).filter(
    (feature) => !deps.pool.isKnownToHave(workerId, feature),
  );
  if (unknown.length === 0) return;
  const worker = await deps.database.queries.worker(workerId);
  for (const feature of unknown)
    if (!worker || !(await hasFeature(deps, worker, feature))) throw lacksFeature(feature);
}

/** The features that the request needs. */
function neededFeatures({ isProcess }: ValidRequest): WorkerFeature[] {
  return isProcess ? ['processes'] : [];
}

// How many executions may be unfinished: one limit for each context, and one for all commands of a session.

/** How many unfinished executions may run at the same time. The others wait: they are the queued ones. */
function runningAtOnce({ config }: Pick<ServiceDeps, 'config'>, request: ValidRequest): number {
  return isCommand(request) ? config.maxCommands : 1;
}

/** @param unfinished the number of unfinished executions, without the request */
function queueFull(
  deps: Pick<ServiceDeps, 'config'>,
  request: ValidRequest,
  unfinished: number,
): DomainError {
  const limit = deps.config.maxQueuedExecutions;
  const queued = unfinished - runningAtOnce(deps, request);
  const what = isCommand(request) ? 'session' : 'context of the session';
  return new DomainError(
    'QUEUE_FULL',
    `This ${what} already has ${queued} queued ${isCommand(request) ? 'commands' : 'executions'}, and at most ${limit} are allowed. Wait until some have finished.`,
    { limit, queued, retryAfterMs: RETRY_AFTER_MS },
  );
}
