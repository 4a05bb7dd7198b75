import type { Session } from '../../../domain/session.ts';
import { decideAgain } from '../../../events/store/decideAndCommit.ts';
import { ConcurrencyError } from '../../../events/store/eventStore.ts';
import type { SessionUses } from '../sessionUses.ts';
import { type InSessionDeps, inSession } from './inSession.ts';
import type { Opening, SessionOwner } from './openingOf.ts';

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
