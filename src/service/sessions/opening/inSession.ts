import { within } from '../../../async/within.ts';
import type { CountedKind } from '../../../domain/quota.ts';
import type { Session } from '../../../domain/session.ts';
import type { SessionOptions } from '../../../domain/sessionOptions.ts';
import { tokenEnded } from '../../access/tokenEnd.ts';
import type { ServiceDeps } from '../../serviceDeps.ts';
import { lastSessionOf, type Opening, openingOf, type SessionOwner } from './openingOf.ts';
import { requireServing } from './requireServing.ts';

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
export interface InSession<T> {
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
