/** Opens sessions: claims a worker, and makes sure that the worker can do what the session is opened for. */

import { onAbort } from '../../async/onAbort.ts';
import { within } from '../../async/within.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { CountedKind } from '../../domain/quota.ts';
import {
  decideSession,
  endedWithOptions,
  isPlain,
  type Session,
  type SessionOptions,
} from '../../domain/session.ts';
import { enumNameOf } from '../../domain/text.ts';
import { decideWorker, type Worker } from '../../domain/worker.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import { ConcurrencyError, type StreamAppend } from '../../events/store/eventStore.ts';
import { tokenEnded } from '../access/tokenEnd.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { CallerGone } from '../waiting.ts';
import type { SessionOwner } from './validateOptions.ts';

/** A session that a commit opens. */
export interface Opening {
  readonly owner: SessionOwner;
  readonly sessionId: SessionId;
  readonly worker: Worker;
  /** Whether the variables of an earlier session are lost to the user. */
  readonly followsLoss: boolean;
  /** WorkerAssigned, then SessionOpened: two appends for the caller's commit. */
  readonly streams: readonly [StreamAppend, StreamAppend];
}

export type NewSessionDeps = Pick<
  ServiceDeps,
  'database' | 'pool' | 'quotas' | 'newId' | 'now' | 'tokenEnd'
>;

/**
 * Time limit of the check before the claim. If the database takes longer, the call skips the check and goes on to the
 * claim, which keeps the caller's own limit.
 */
const EARLY_READ_MS = 1_000;

/** What to do in a new session. */
interface InNewSession<T> {
  /** Commits the streams of the opening, and acts in the new session. Called again if another call took the worker. */
  readonly act: (opening: Opening) => Promise<T>;
  /** The kinds of quota of which `act` uses one more. */
  readonly adds: readonly CountedKind[];
  /** How long to wait for a worker, in milliseconds. */
  readonly waitForWorkerMs: number;
  /**
   * The options of a new session. Null: none; the call then fails if the last session had options and was not released.
   */
  readonly options: SessionOptions | null;
  readonly gone: CallerGone;
}

/**
 * One attempt to act in a new session, for which a worker is claimed. For users that have no open session as far as
 * `sessions` knows. A caller repeats it with `decideAgain`, and refreshes `sessions` before each repetition.
 * @throws ConcurrencyError if another writer was first; SESSION_ENDED, QUOTA_EXCEEDED, NOT_FOUND and
 * ENVIRONMENT_NOT_READY for the environment, POOL_EXHAUSTED, WORKER_START_FAILED; what `act` throws
 */
export async function inNewSession<T>(
  deps: NewSessionDeps,
  owner: SessionOwner,
  { act, adds, waitForWorkerMs, options, gone }: InNewSession<T>,
): Promise<T> {
  // The commit checks this again. It is checked before the claim, too, so that a call that will be refused need not
  // wait for a worker.
  const checked = requireMayOpen(deps, owner, { adds, options });
  await within(EARLY_READ_MS, checked, () => undefined);
  const environment = options?.environment ?? null;
  if (environment !== null) await requireServing(deps, environment);
  return await deps.pool.claim(
    { ...owner, environment },
    async (worker) => await act(await openingOf(deps, owner, worker, options)),
    waitForWorkerMs,
    (leave) => {
      const offs = [
        deps.tokenEnd.on(() => leave(tokenEnded())),
        gone && onAbort(gone, () => leave(callerGone())),
      ];
      return () => {
        for (const off of offs) off?.();
      };
    },
  );
}

/** No caller is left to get this error, but it is counted like other refusals. */
function callerGone(): DomainError {
  return new DomainError('POOL_EXHAUSTED', 'The client left while its call waited for a worker.');
}

async function requireMayOpen(
  deps: NewSessionDeps,
  owner: SessionOwner,
  { adds, options }: Pick<InNewSession<unknown>, 'adds' | 'options'>,
): Promise<void> {
  await lastSessionOf(deps, owner, options);
  try {
    await deps.quotas.requireRoom(owner, adds);
  } catch (error: unknown) {
    // Perhaps the user's own session was opened meanwhile, and has taken the last place.
    await lastSessionOf(deps, owner, options);
    throw error;
  }
}

/** A build takes some seconds to minutes. */
const RETRY_BUILDING_AFTER_MS = 5_000;

/**
 * Resolves if the environment has a version that serves new sessions. The pool then keeps idle workers of the
 * environment for a while.
 * @throws NOT_FOUND, ENVIRONMENT_NOT_READY
 */
async function requireServing(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  name: string,
): Promise<void> {
  if (await pool.askFor(name)) return;
  const [newest] = await queries.versionsOf(name);
  if (newest === undefined) throw notFound('environment', name);
  const what =
    newest.state === 'BUILDING'
      ? 'It is still being built. Send the request again when it is ready.'
      : 'Its build failed. The operator finds the reason in `environment(name)`, and can create it again.';
  throw new DomainError(
    'ENVIRONMENT_NOT_READY',
    `The environment ${name} has no version that is ready. ${what}`,
    {
      environment: name,
      ...(newest.state === 'BUILDING' && { retryAfterMs: RETRY_BUILDING_AFTER_MS }),
    },
  );
}

/**
 * The events that open a session of the user with this worker. Nothing is recorded yet: the caller commits them,
 * together with whatever the session is opened for. If another writer is first, that commit throws a ConcurrencyError.
 * @param asked the options that the user asks for. Null: the call does not ask for a session, but needs one
 * @throws ConcurrencyError (`open-session`) if the user has an open session; SESSION_ENDED as {@link lastSessionOf}
 */
async function openingOf(
  deps: Pick<ServiceDeps, 'database' | 'newId' | 'now'>,
  owner: SessionOwner,
  worker: Worker,
  asked: SessionOptions | null,
): Promise<Opening> {
  const previous = await lastSessionOf(deps, owner, asked);
  const options = asked && !isPlain(asked) ? asked : null;
  const at = deps.now().toISOString();
  const sessionId = deps.newId<SessionId>();
  const { id: workerId } = worker;
  const opened = decideSession(
    { type: 'OpenSession', at, sessionId, ...owner, workerId, previous, options },
    null,
  );
  const assigned = decideWorker({ type: 'AssignWorker', at, sessionId }, worker);
  return {
    owner,
    sessionId,
    worker,
    followsLoss: opened.some(({ type, data }) => type === 'SessionOpened' && data.followsLoss),
    streams: [
      { stream: 'worker', id: workerId, state: worker, events: assigned },
      { stream: 'session', id: sessionId, state: null, events: opened },
    ],
  };
}

/**
 * The user's last session, which has ended. Null if there was none.
 * @param asked as for {@link openingOf}
 * @throws ConcurrencyError (`open-session`) if it is open; SESSION_ENDED if it had options and was not released, and
 * `asked` is null: a session without options must not silently take its place
 */
async function lastSessionOf(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tenant, userUuid }: SessionOwner,
  asked: SessionOptions | null,
): Promise<Session | null> {
  const last = await queries.lastSession(tenant, userUuid);
  if (last === null) return null;
  if (last.closedAt === null) throw new ConcurrencyError('open-session');
  const mayReplace = asked !== null || !endedWithOptions(last);
  if (mayReplace || (await queries.isEndAccepted(last.id))) return last;
  const { id: sessionId, closedAt, closeReason } = last;
  throw new DomainError(
    'SESSION_ENDED',
    `This user's session had options, and has ended (${closeReason}). A session without them would differ from it. Call openSession to open another with options, or release to go on without.`,
    {
      sessionId,
      closedAt: closedAt.toISOString(),
      closeReason: closeReason ? enumNameOf(closeReason) : undefined,
    },
  );
}

export type EnsureSessionDeps = NewSessionDeps & Pick<ServiceDeps, 'sessions' | 'sessionUses'>;

/**
 * The user's open session, or a new one, for an operation that is not an execution. It counts as a use of the session,
 * so the session does not end as idle right after.
 * @param waitForWorkerMs how long to wait for a worker
 * @throws SESSION_ENDED, QUOTA_EXCEEDED, POOL_EXHAUSTED, WORKER_START_FAILED
 */
export async function ensureSession(
  deps: EnsureSessionDeps,
  owner: SessionOwner,
  waitForWorkerMs: number,
  gone?: CallerGone,
): Promise<Session> {
  const { tenant, userUuid } = owner;
  return await decideAgain(async (isAgain) => {
    if (isAgain) await deps.sessions.refresh(tenant, userUuid);
    const session = deps.sessions.get(tenant, userUuid);
    if (session) {
      if (!(await deps.sessionUses.use(session))) throw new ConcurrencyError('session');
      return session;
    }
    return await inNewSession(deps, owner, {
      act: (opening) => commitOpening(deps, opening),
      adds: ['OPEN_SESSIONS'],
      waitForWorkerMs,
      options: null,
      gone,
    });
  });
}

/**
 * Commits an opening alone.
 * @param variables the session's environment variables
 * @throws ConcurrencyError if another writer was first; QUOTA_EXCEEDED
 */
export async function commitOpening(
  { database, quotas }: Pick<NewSessionDeps, 'database' | 'quotas'>,
  { owner, streams, sessionId }: Opening,
  variables: Readonly<Record<string, string>> = {},
): Promise<Session> {
  const sessionVariables = { sessionId, values: variables };
  const { states } = await quotas.commit(database.store, owner, { streams, sessionVariables });
  return states[1] as Session;
}

// Features that workers of earlier releases may lack.

/** Each feature in words, for messages. */
const FEATURES = {
  processes: 'the process ids and signals of commands',
} as const;

export type WorkerFeature = keyof typeof FEATURES;

/**
 * Whether the worker's agent has the feature. Each worker is asked once.
 * @throws POOL_INITIALIZING if it does not answer
 */
export async function hasFeature(
  { pool }: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  feature: WorkerFeature,
): Promise<boolean> {
  try {
    return (await pool.featuresOf(worker)).has(feature);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}

/** The error for a worker that did not answer a call which can be sent again. */
export function workerAway(cause: unknown): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    "The session's worker does not answer now. Nothing was changed. Send the request again.",
    { retryAfterMs: RETRY_AFTER_MS },
    { cause },
  );
}

/**
 * The error for an open session whose worker lacks the feature. The worker never gets it, because a worker keeps its
 * image.
 */
export function lacksFeature(feature: WorkerFeature): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The worker of this session was made by an earlier release, without ${FEATURES[feature]}. \`release\` the session. The next one has them, unless WORKER_IMAGE names an image of that release.`,
    { field: 'userUuid' },
  );
}

/**
 * Resolves if the claimed worker has the features.
 * @throws ConcurrencyError (`stream`) if the worker does not answer, so that the claim goes on with another one; what
 * {@link replaceOlder} throws if the worker lacks a feature
 */
export async function requireOfClaimed(
  { pool }: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  needed: readonly WorkerFeature[],
): Promise<void> {
  if (needed.every((feature) => pool.isKnownToHave(worker.id, feature))) return;
  const features = await pool.featuresInTime(worker);
  if (features === null) throw new ConcurrencyError('stream');
  const missing = needed.find((feature) => !features.has(feature));
  if (missing !== undefined) await replaceOlder(pool, worker, FEATURES[missing]);
}

/**
 * Ends an idle worker that an earlier release has left, so that the claim gets another one. A worker with the present
 * image stays, because any other worker would lack the same feature.
 * @param lacks what the worker lacks, in words
 * @throws ConcurrencyError (`stream`) if the worker is ended; BAD_USER_INPUT if the image lacks it;
 * WORKER_START_FAILED if the engine cannot be asked for its image
 */
async function replaceOlder(
  pool: Pick<ServiceDeps['pool'], 'hasPresentImage' | 'retireIdle'>,
  worker: Worker,
  lacks: string,
): Promise<never> {
  const isPresent = await pool.hasPresentImage(worker).catch((cause: unknown) => {
    throw new DomainError(
      'WORKER_START_FAILED',
      `The idle workers were made by an earlier release, without ${lacks}, and the Docker engine does not answer. Nothing was changed. Send the request again.`,
      { retryAfterMs: RETRY_AFTER_MS },
      { cause },
    );
  });
  if (isPresent && worker.environmentId !== null)
    throw new DomainError(
      'BAD_USER_INPUT',
      `The workers of this environment lack ${lacks}: it was built on the image of an earlier release. After an update, it is built again by itself, unless that fails (see its versions). New workers then have what is missing.`,
    );
  if (isPresent)
    throw new DomainError(
      'BAD_USER_INPUT',
      `The workers of this installation lack ${lacks}: WORKER_IMAGE names an image of an earlier release. The operator can change that.`,
    );
  await pool.retireIdle(worker);
  throw new ConcurrencyError('stream');
}
