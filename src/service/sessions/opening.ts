/** What an idle worker must be able to do before a session is opened with it. */

import { within } from '../../async/within.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { CountedKind } from '../../domain/quota.ts';
import type { Session, SessionOptions } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { tokenEnded } from '../access/tokenEnd.ts';
import { notFound } from '../notFound.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { SessionUses } from './sessionUses.ts';
import { lastSessionOf, type Opening, openingOf, type SessionOwner } from './validateOptions.ts';

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

export type InSessionDeps = Pick<
  ServiceDeps,
  'database' | 'pool' | 'sessions' | 'quotas' | 'newId' | 'now' | 'tokenEnd'
>;

/**
 * Limit of the read before the claim. A database that takes longer is away. The call then goes on to the claim, which
 * keeps the caller's own limit.
 */
const EARLY_READ_MS = 1_000;

/** What to do in the user's open session, and what to do if there is none. */
interface InSession<T> {
  /** Acts in the open session, as this gateway knows it. Its commit names the session's version. */
  readonly open: (session: Session) => Promise<T>;
  /** Commits the streams of the opening, and acts in the new session. Called again if somebody else took the worker. */
  readonly fresh: (opening: Opening) => Promise<T>;
  /** The kinds of quota of which `fresh` uses one more. */
  readonly adds: readonly CountedKind[];
  /** How long to wait for a worker, in milliseconds. */
  readonly waitForWorkerMs: number;
  /**
   * The options of a new session. Null: none; the call then fails if the last session had options and was not released.
   */
  readonly options: SessionOptions | null;
}

/**
 * One attempt to act in the user's open session, or in a new one for which a worker is claimed. A caller repeats it
 * with `decideAgain`, and refreshes `sessions` before each repetition.
 * @throws ConcurrencyError if another writer was first; SESSION_ENDED, QUOTA_EXCEEDED, NOT_FOUND and
 * ENVIRONMENT_NOT_READY for the environment, POOL_EXHAUSTED, WORKER_START_FAILED; what `open` and `fresh` throw
 */
export async function inSession<T>(
  deps: InSessionDeps,
  owner: SessionOwner,
  { open, fresh, adds, waitForWorkerMs, options }: InSession<T>,
): Promise<T> {
  const { tenant, userUuid } = owner;
  const session = deps.sessions.get(tenant, userUuid);
  if (session) return await open(session);
  // The commit checks this again. It is checked before the claim, too, so that no call waits that will be refused.
  const checked = requireMayOpen(deps, owner, { adds, options });
  await within(EARLY_READ_MS, checked, () => undefined);
  const environment = options?.environment ?? null;
  if (environment !== null) await requireServing(deps, environment);
  return await deps.pool.claim(
    { ...owner, environment },
    async (worker) => await fresh(await openingOf(deps, owner, worker, options)),
    waitForWorkerMs,
    (leave) => deps.tokenEnd.on(() => leave(tokenEnded())),
  );
}

async function requireMayOpen(
  deps: InSessionDeps,
  owner: SessionOwner,
  { adds, options }: Pick<InSession<unknown>, 'adds' | 'options'>,
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

export type EnsureSessionDeps = InSessionDeps & { readonly sessionUses: SessionUses };

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
): Promise<Session> {
  const { tenant, userUuid } = owner;
  return await decideAgain(async (isAgain) => {
    if (isAgain) await deps.sessions.refresh(tenant, userUuid);
    return await inSession(deps, owner, {
      open: async (session) => {
        if (!(await deps.sessionUses.use(session))) throw new ConcurrencyError('session');
        return session;
      },
      fresh: (opening) => commitOpening(deps, opening),
      adds: ['OPEN_SESSIONS'],
      waitForWorkerMs,
      options: null,
    });
  });
}

/**
 * Commits an opening alone.
 * @param variables the session's environment variables
 * @throws ConcurrencyError if another writer was first; QUOTA_EXCEEDED
 */
export async function commitOpening(
  { database, quotas }: Pick<InSessionDeps, 'database' | 'quotas'>,
  { owner, streams, sessionId }: Opening,
  variables: Readonly<Record<string, string>> = {},
): Promise<Session> {
  const sessionVariables = { sessionId, values: variables };
  const { states } = await quotas.committing(owner, (limits) =>
    database.store.commit({ streams, sessionVariables, ...limits }),
  );
  return states[1] as Session;
}

/** The features that workers of earlier releases lack, in words. */
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

/** The error for an open session whose worker lacks the feature. A worker keeps its image for life. */
export function lacksFeature(feature: WorkerFeature): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The worker of this session was made by an earlier release, without ${FEATURES[feature]}. \`release\` the session. The next one has them, unless WORKER_IMAGE names an image of that release.`,
    { field: 'userUuid' },
  );
}
