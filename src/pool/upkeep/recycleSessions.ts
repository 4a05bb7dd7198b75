/** Ends sessions that nobody uses and those that are too old, some beside each other: each is a container to remove. */
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { Session } from '../../domain/session.ts';
import type { SessionQueries } from '../../events/queries/queries.ts';

const MAX_SESSIONS_A_ROUND = 100;
/** The engine removes some at a time without slowing what else it does. */
const MAX_PARALLEL_CLOSES = 4;

export interface RecycleDeps {
  readonly queries: Pick<SessionQueries, 'sessionsIdleSince' | 'sessionsOpenedBefore'>;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly sessionIdleTimeoutMs: number;
  readonly sessionMaxLifeMs: number;
  /** Ends the session. @param idleSince not if it was used since then, which only the commit can tell for certain */
  readonly closeSession: (
    session: Session,
    reason: 'idle' | 'expired',
    idleSince?: Date,
  ) => Promise<void>;
  /** Asked before each: somebody else keeps the pool now, or this gateway stops. */
  readonly isOver: () => boolean;
}

/** One round. A session that could not be ended does not keep the others waiting; the next round tries it again. */
export async function recycleSessions(deps: RecycleDeps): Promise<void> {
  const { queries } = deps;
  const now = deps.now().getTime();
  const idleSince = new Date(now - deps.sessionIdleTimeoutMs);
  const tooOld = new Date(now - deps.sessionMaxLifeMs);
  const idle = await queries.sessionsIdleSince(idleSince, MAX_SESSIONS_A_ROUND);
  await closeAll(deps, idle, (session) => deps.closeSession(session, 'idle', idleSince));
  const old = await queries.sessionsOpenedBefore(tooOld, MAX_SESSIONS_A_ROUND);
  await closeAll(deps, old, (session) => deps.closeSession(session, 'expired'));
}

async function closeAll(
  { logger, isOver }: RecycleDeps,
  sessions: readonly Session[],
  close: (session: Session) => Promise<void>,
): Promise<void> {
  const rest = [...sessions];
  const closeNext = async (): Promise<void> => {
    for (let session = rest.shift(); session && !isOver(); session = rest.shift()) {
      const sessionId = session.id;
      await close(session).catch((error: unknown) =>
        logger.error(
          { error: messageOf(error), sessionId },
          'could not end a session; trying again',
        ),
      );
    }
  };
  await Promise.all(Array.from({ length: MAX_PARALLEL_CLOSES }, closeNext));
}
