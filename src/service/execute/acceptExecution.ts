/**
 * Records a valid request: in the user's open session, or in a new one for which it claims a worker. A new session and
 * its first request are one commit.
 */

import type { Config } from '../../config/config.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import { decideExecution, type Execution, queueOf } from '../../domain/execution.ts';
import { type ExecutionOptions, isCommand } from '../../domain/executionOptions.ts';
import type { ContextId, ExecutionId } from '../../domain/ids.ts';
import { QuotaError } from '../../domain/quota.ts';
import { requestFacts } from '../../domain/requestFacts.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import {
  type Commit,
  type IdempotencyClaim,
  LimitError,
  type StreamAppend,
} from '../../events/store/eventStore.ts';
import { contextNamed } from '../contexts/contexts.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import {
  hasFeature,
  type InSessionDeps,
  inSession,
  lacksFeature,
  requireOfClaimed,
  type WorkerFeature,
} from '../sessions/opening.ts';
import type { Opening } from '../sessions/validateOptions.ts';
import { untilInitialized } from '../waiting.ts';
import type { RequestHashes } from './requestHash.ts';
import { type ExecuteRequest, type ValidRequest, validateRequest } from './validateRequest.ts';

// How many executions may be unfinished: one limit for each context, and one for all commands of a session.

type QueueLimitDeps = Pick<ServiceDeps, 'config' | 'pool'>;

/** How many unfinished executions the request's queue may have, including the request itself. */
function maxUnfinishedOf(deps: QueueLimitDeps, request: ValidRequest): number {
  return runningAtOnce(deps, request) + deps.config.maxQueuedExecutions;
}

/** How many unfinished executions may run at the same time. The others wait. */
function runningAtOnce({ config }: QueueLimitDeps, request: ValidRequest): number {
  return isCommand(request) ? config.maxCommands : 1;
}

/** How many unfinished executions this gateway knows in the request's queue. */
function unfinishedBeside(
  { pool }: QueueLimitDeps,
  { workerId }: Session,
  { language }: ValidRequest,
  contextId: ContextId | null,
): number {
  const queue = queueOf({ language, contextId });
  return pool.heldWorkers.get(workerId)?.unfinishedIn(queue) ?? 0;
}

/** @param unfinished how many there are without the request */
function queueFull(deps: QueueLimitDeps, request: ValidRequest, unfinished: number): DomainError {
  const limit = deps.config.maxQueuedExecutions;
  const queued = unfinished - runningAtOnce(deps, request);
  const what = isCommand(request) ? 'session' : 'context of the session';
  return new DomainError(
    'QUEUE_FULL',
    `This ${what} already has ${queued} queued ${isCommand(request) ? 'commands' : 'executions'}, and at most ${limit} are allowed. Wait until some have finished.`,
    { limit, queued, retryAfterMs: RETRY_AFTER_MS },
  );
}

// The options of a request: how they are recorded, and which features of the worker they need.

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

/** The environment variables of the request. The commit stores them, but no event contains them. */
function variablesOf(
  { environmentVariables: values }: ValidRequest,
  executionId: NonNullable<Commit['executionVariables']>['executionId'],
): Pick<Commit, 'executionVariables'> {
  return Object.keys(values).length > 0 ? { executionVariables: { executionId, values } } : {};
}

/**
 * A feature that the request needs and the worker lacks. Null: the worker can run the request. @throws
 * POOL_INITIALIZING
 */
async function missingFeature(
  deps: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  request: ValidRequest,
): Promise<WorkerFeature | null> {
  for (const feature of neededFeatures(request))
    if (!(await hasFeature(deps, worker, feature))) return feature;
  return null;
}

/** The features that the request needs. An agent that lacks one of them would ignore that part of the request. */
function neededFeatures({ isProcess }: ValidRequest): WorkerFeature[] {
  return isProcess ? ['processes'] : [];
}

// Calls that are sent again with the idempotency key of an earlier one.

/** Names of facts that callers know by another one. Facts keep theirs, because their hashes are stored by name. */
const INPUT_NAMES: ReadonlyMap<string, string> = new Map([['stopOnError', 'cancelQueuedOnError']]);

type SameKeyDeps = Pick<ServiceDeps, 'database' | 'requestHashes'>;

/**
 * The execution that holds the request's idempotency key. Null: none does, or the request has no key.
 * @throws IDEMPOTENCY_CONFLICT if the key was used for another request
 */
async function underSameKey(
  { database: { queries }, requestHashes }: SameKeyDeps,
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

/** The claim of the request's idempotency key, for its commit. Empty if the request has no key. */
function idempotency(
  { requestHashes }: SameKeyDeps,
  tenant: string,
  request: ValidRequest,
  executionId: ExecutionId,
): { idempotency?: IdempotencyClaim } {
  const { idempotencyKey: key, userUuid } = request;
  if (key === null) return {};
  const requestHash = requestHashes.of({ tenant, userUuid, key }, requestFacts(request));
  return { idempotency: { tenant, userUuid, key, requestHash, executionId } };
}

interface AcceptDeps extends InSessionDeps {
  readonly config: Config;
  readonly requestHashes: RequestHashes;
  /** Called right before the request is recorded. Called again with a new id if another writer was first. */
  readonly onAccepting: (id: ExecutionId) => void;
}

/**
 * Resolves with the execution as recorded, or with the one that already holds the idempotency key.
 * @throws NOT_FOUND for a context that is not open; BAD_USER_INPUT if the session's worker lacks a feature that the
 * request needs; SESSION_ENDED, POOL_EXHAUSTED, WORKER_START_FAILED, QUEUE_FULL, QUOTA_EXCEEDED, IDEMPOTENCY_CONFLICT
 */
async function acceptExecution(
  deps: AcceptDeps,
  tenant: string,
  request: ValidRequest,
): Promise<Execution> {
  const { userUuid } = request;
  const owner = { tenant, userUuid };
  return await decideAgain(async (isAgain) => {
    // The user may have another session by now.
    if (isAgain) await deps.sessions.refresh(tenant, userUuid);
    // The refusal is read before the key. So if an earlier copy of this call was accepted before the refusal, the read
    // of the key finds that copy.
    const refusal = deps.quotas.knownRefusal(owner);
    const earlier = await underSameKey(deps, tenant, request);
    if (earlier) return earlier;
    if (refusal) throw refusal;
    await deps.quotas.requireUsage(owner);
    const context = await contextNamed(deps, owner, request.contextId);
    try {
      return await inSession(deps, owner, {
        open: (session) => requestIn(deps, session, request, context?.id ?? null),
        fresh: (opening) => openAndRequest(deps, tenant, opening, request),
        adds: ['OPEN_SESSIONS', 'RUNNING_EXECUTIONS', 'EXECUTIONS_PER_MINUTE'],
        waitForWorkerMs: request.waitForWorkerMs,
        options: null,
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

async function requestIn(
  deps: AcceptDeps,
  session: Session,
  request: ValidRequest,
  contextId: ContextId | null,
): Promise<Execution> {
  await requireFeatures(deps, session, request);
  const maxUnfinished = maxUnfinishedOf(deps, request);
  // A quick check without the database. It counts recorded executions only, because a held worker knows no others. The
  // commit checks the limit over all gateways.
  const unfinished = unfinishedBeside(deps, session, request, contextId);
  if (unfinished >= maxUnfinished) throw queueFull(deps, request, unfinished);
  // A call other than an execution may have opened the session after a loss. The session's first execution reports the
  // loss.
  const tellsLoss = contextId === null && !isCommand(request) && session.followsLoss;
  const stateLost = tellsLoss && !(await deps.sessions.hasExecution(session));
  await deps.quotas.requireRoomAgain(session, laneOf(session, request, contextId));
  const append = requestAppend(deps, session, request, { contextId, stateLost });
  deps.onAccepting(append.id);
  try {
    const { states } = await deps.quotas.committing(session, (quotas) =>
      deps.database.store.commit({
        streams: [append],
        openSessions: [{ id: session.id, version: session.version }],
        maxUnfinished,
        // If two executions are accepted at the same time, only one of them may report the loss. That holds even if it
        // has ended before the other is recorded.
        isFirstExecution: stateLost,
        ...quotas,
        ...variablesOf(request, append.id),
        ...idempotency(deps, session.tenant, request, append.id),
      }),
    );
    return states[0] as Execution;
  } catch (error: unknown) {
    throw error instanceof LimitError ? queueFull(deps, request, error.count - 1) : error;
  }
}

function laneOf({ id }: Session, { language }: ValidRequest, contextId: ContextId | null) {
  return { sessionId: id, language, contextId };
}

/**
 * An agent without the needed features would not report the process id of a command, and would not send it every
 * signal. @throws BAD_USER_INPUT, POOL_INITIALIZING
 */
async function requireFeatures(deps: AcceptDeps, { workerId }: Session, request: ValidRequest) {
  const needed = neededFeatures(request);
  const [first] = needed.filter((feature) => !deps.pool.isKnownToHave(workerId, feature));
  if (first === undefined) return;
  const worker = await deps.database.queries.worker(workerId);
  const missing = worker ? await missingFeature(deps, worker, request) : first;
  if (missing !== null) throw lacksFeature(missing);
}

async function openAndRequest(
  deps: AcceptDeps,
  tenant: string,
  { owner, sessionId, worker, followsLoss, streams }: Opening,
  request: ValidRequest,
): Promise<Execution> {
  await requireOfClaimed(deps, worker, neededFeatures(request));
  const session = { id: sessionId, workerId: worker.id, tenant };
  const facts = { contextId: null, stateLost: followsLoss && !isCommand(request) };
  const append = requestAppend(deps, session, request, facts);
  deps.onAccepting(append.id);
  const { states } = await deps.quotas.committing(owner, (quotas) =>
    deps.database.store.commit({
      streams: [...streams, append],
      ...quotas,
      ...variablesOf(request, append.id),
      ...idempotency(deps, tenant, request, append.id),
    }),
  );
  return states[streams.length] as Execution;
}

function requestAppend(
  deps: AcceptDeps,
  { id: sessionId, workerId, tenant }: Pick<Session, 'id' | 'workerId' | 'tenant'>,
  request: ValidRequest,
  { contextId, stateLost }: Pick<Execution, 'contextId' | 'stateLost'>,
): Extract<StreamAppend, { stream: 'execution' }> {
  const executionId = deps.newId<ExecutionId>();
  const { userUuid, code, codeSha256, codeBytes, timeoutMs, idempotencyKey } = request;
  const events = decideExecution(
    {
      type: 'RequestExecution',
      at: deps.now().toISOString(),
      executionId,
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
  return { stream: 'execution', id: executionId, state: null, events };
}

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

/**
 * Validates a caller's request and records it. Resolves with the recorded execution.
 * @param onAccepting called with the execution's id right before the request is recorded. Nothing has happened until
 * then. Called again with a new id if another writer was first.
 * @throws BAD_USER_INPUT, POOL_INITIALIZING, and what {@link acceptExecution} throws
 */
export async function acceptRequest(
  deps: AcceptRequestDeps,
  { tenant }: Principal,
  request: ExecuteRequest,
  onAccepting: (id: ExecutionId) => void,
): Promise<Execution> {
  const valid = validateRequest(request, deps.config);
  await untilInitialized(deps.pool);
  return await acceptExecution({ ...deps, onAccepting }, tenant, valid);
}

export type RunDeps = AcceptRequestDeps & Pick<ServiceDeps, 'finishWaiters'>;

export interface AcceptedExecution {
  readonly execution: Execution;
  /** Must be called when nobody waits for the execution any more. */
  readonly unfollow: () => void;
}

/**
 * Accepts code, and begins to follow the execution before it is recorded. So if this gateway holds the worker, a caller
 * gets the end of the execution without a read from the database. If this rejects, nothing is followed.
 * @param onAccepting called right before the request is recorded. Nothing has happened until then.
 */
export async function acceptFollowed(
  deps: RunDeps,
  principal: Principal,
  request: ExecuteRequest,
  onAccepting: () => void,
): Promise<AcceptedExecution> {
  let unfollow = () => {};
  try {
    const execution = await acceptRequest(deps, principal, request, (id) => {
      onAccepting();
      unfollow();
      unfollow = deps.finishWaiters.follow(id);
    });
    return { execution, unfollow };
  } catch (error: unknown) {
    unfollow();
    throw error;
  }
}
