/**
 * Records a valid request: in the user's open session, or in a new one for which it claims a worker. A new session and
 * its first request are one commit.
 */
import type { Config } from '../../config/config.ts';
import { decideExecution, type Execution } from '../../domain/execution.ts';
import { isCommand } from '../../domain/executionOptions.ts';
import type { ContextId, ExecutionId } from '../../domain/ids.ts';
import { QuotaError } from '../../domain/quota.ts';
import type { Session } from '../../domain/session.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import { LimitError, type StreamAppend } from '../../events/store/eventStore.ts';
import { contextNamed } from '../contexts/openContext.ts';
import { requireOfClaimed } from '../sessions/opening/claimedWorker.ts';
import { type InSessionDeps, inSession } from '../sessions/opening/inSession.ts';
import type { Opening } from '../sessions/opening/openingOf.ts';
import { lacksFeature } from '../sessions/workerFeature.ts';
import { maxUnfinishedOf, queueFull, unfinishedBeside } from './queueLimit.ts';
import type { RequestHashes } from './requestHash.ts';
import { missingFeature, neededFeatures, optionsOf, variablesOf } from './requestOptions.ts';
import { idempotency, underSameKey } from './sameKey.ts';
import type { ValidRequest } from './validateRequest.ts';

export interface AcceptDeps extends InSessionDeps {
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
export async function acceptExecution(
  deps: AcceptDeps,
  tenant: string,
  request: ValidRequest,
): Promise<Execution> {
  const { userUuid } = request;
  const owner = { tenant, userUuid };
  return await decideAgain(async (isAgain) => {
    // The user may have another session by now.
    if (isAgain) await deps.sessions.refresh(tenant, userUuid);
    // The refusal is read first. Then the next read finds everything that was accepted before the refusal.
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
  // A quick check: the executions that a held worker knows are all recorded. The commit checks the limit over all
  // gateways.
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
        // Only one of two executions that are accepted at the same time is the first, even if it has ended when the
        // other is recorded.
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
  const [first] = needed.filter((feature) => !deps.pool.hasTold(workerId, feature));
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
