/** Ends idle sessions and sessions that are too old. Several end in parallel, because removing a container is slow. */
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { Session } from '../../domain/session.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

const MAX_SESSIONS_A_ROUND = 100;
/** The engine can remove this many containers at a time without slowing down its other work. */
const MAX_PARALLEL_CLOSES = 4;

export interface RecycleDeps {
  readonly queries: Pick<Queries, 'sessionsIdleSince' | 'sessionsOpenedBefore'>;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly sessionIdleTimeoutMs: number;
  readonly sessionMaxLifeMs: number;
  /** Ends the session. @param idleSince if given, only if the session was not used since then; the commit checks it */
  readonly closeSession: (
    session: Session,
    reason: 'idle' | 'expired',
    idleSince?: Date,
  ) => Promise<void>;
  /** Asked before each session. True: another gateway is the keeper now, or this gateway is stopping. */
  readonly isOver: () => boolean;
}

/** Runs one round. A session that cannot be ended does not delay the others; the next round tries again. */
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
