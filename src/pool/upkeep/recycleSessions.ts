/** Ends idle sessions. Several end in parallel, because removing a container is slow. */
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { Session } from '../../domain/session.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { EndCondition } from '../endWorker.ts';

/** Limits the rows of one read. The next round ends the rest. */
export const MAX_SESSIONS_A_ROUND = 100;
/** The engine can remove this many containers at a time without slowing down its other work. */
export const MAX_PARALLEL_CLOSES = 4;

export interface RecycleDeps {
  readonly queries: Pick<Queries, 'idleSessions'>;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly sessionIdleTimeoutMs: number;
  /** Ends the session if it is idle: the commit checks it. */
  readonly closeSession: (
    session: Session,
    reason: 'idle',
    condition: EndCondition,
  ) => Promise<void>;
  /** Asked before each session. True: another gateway is the keeper now, or this gateway is stopping. */
  readonly isOver: () => boolean;
}

/**
 * Runs one round. A session that cannot be ended does not delay the others; the next round tries again.
 * @param isOwnOnly whether to end only sessions with an idle time of their own
 */
export async function recycleSessions(deps: RecycleDeps, isOwnOnly: boolean): Promise<void> {
  const { queries, sessionIdleTimeoutMs: timeoutMs } = deps;
  const at = deps.now();
  const idle = await queries.idleSessions({ at, timeoutMs, isOwnOnly }, MAX_SESSIONS_A_ROUND);
  await closeAll(deps, idle, (session) => {
    const idleMs = session.idleTimeoutMs ?? timeoutMs;
    return deps.closeSession(session, 'idle', { idleSince: new Date(at.getTime() - idleMs) });
  });
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
