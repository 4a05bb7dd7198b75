import type { NewId, SessionId } from '../../../domain/ids.ts';
import { decideSession, type Session } from '../../../domain/session.ts';
import { decideWorker, type Worker } from '../../../domain/worker.ts';
import type { Database } from '../../../events/database.ts';
import { ConcurrencyError, type StreamAppend } from '../../../events/store/eventStore.ts';

/** Whose session. */
export interface SessionOwner {
  readonly tenant: string;
  readonly userUuid: string;
}

export interface OpeningDeps {
  readonly database: Pick<Database, 'queries'>;
  readonly newId: NewId;
  readonly now: () => Date;
}

/** A session that a commit opens. */
export interface Opening {
  readonly sessionId: SessionId;
  readonly worker: Worker;
  /** Whether the variables of an earlier session are lost to the user. */
  readonly followsLoss: boolean;
  /** WorkerAssigned, then SessionOpened: two appends for the caller's commit. */
  readonly streams: readonly [StreamAppend, StreamAppend];
}

/**
 * The events that open a session of the user with this worker. Nothing is recorded yet: the caller commits them,
 * together with whatever the session is opened for. If another writer is first, that commit throws a ConcurrencyError.
 * @throws ConcurrencyError (`open-session`) if the user has an open session
 */
export async function openingOf(
  deps: OpeningDeps,
  owner: SessionOwner,
  worker: Worker,
): Promise<Opening> {
  const previous = await lastOf(deps, owner);
  const at = deps.now().toISOString();
  const sessionId = deps.newId<SessionId>();
  const { id: workerId } = worker;
  const opened = decideSession(
    { type: 'OpenSession', at, sessionId, ...owner, workerId, previous },
    null,
  );
  const assigned = decideWorker({ type: 'AssignWorker', at, sessionId }, worker);
  return {
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
 * @throws ConcurrencyError (`open-session`) if it is open
 */
async function lastOf(
  { database }: OpeningDeps,
  { tenant, userUuid }: SessionOwner,
): Promise<Session | null> {
  const last = await database.queries.lastSession(tenant, userUuid);
  if (last && last.closedAt === null) throw new ConcurrencyError('open-session');
  return last;
}
