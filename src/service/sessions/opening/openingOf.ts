import { DomainError } from '../../../domain/errors.ts';
import type { NewId, SessionId } from '../../../domain/ids.ts';
import { decideSession, endedWithOptions, type Session } from '../../../domain/session.ts';
import { isPlain, type SessionOptions } from '../../../domain/sessionOptions.ts';
import { decideWorker, type Worker } from '../../../domain/worker.ts';
import type { Database } from '../../../events/database.ts';
import { ConcurrencyError, type StreamAppend } from '../../../events/store/eventStore.ts';

/** The owner of a session. */
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
  readonly owner: SessionOwner;
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
 * @param asked the options that the user asks for. Null: the call does not ask for a session, but needs one
 * @throws ConcurrencyError (`open-session`) if the user has an open session; SESSION_ENDED as {@link lastSessionOf}
 */
export async function openingOf(
  deps: OpeningDeps,
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
export async function lastSessionOf(
  { database: { queries } }: OpeningDeps,
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
    { sessionId, closedAt: closedAt.toISOString(), closeReason },
  );
}
