/**
 * Ends sessions whose lifetime is over. Each round first records all ends at once. From then on the sessions are
 * closed, and no call reaches them. Removing their containers is slow, so it follows in the background.
 */
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { WorkerId } from '../../domain/ids.ts';
import { expiryOf, type Session } from '../../domain/session.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { MAX_PARALLEL_CLOSES, MAX_SESSIONS_A_ROUND } from './recycleSessions.ts';

export interface ExpiryDeps {
  readonly queries: Pick<Queries, 'expiredSessions'>;
  readonly logger: Logger;
  readonly now: () => Date;
  /** The lifetime of a session that does not define its own. */
  readonly sessionMaxLifeMs: number;
  /** Records the session's end if it is still due. The session's lifetime may just have been extended. */
  readonly record: (
    session: Session,
    isDue: (session: Session) => boolean,
  ) => Promise<Session | null>;
  /** Carries out a recorded end. Never throws. */
  readonly carryOut: (workerId: WorkerId) => Promise<void>;
}

export interface Expiry {
  /** Resolves when the ends of all sessions that are due are recorded, at most MAX_SESSIONS_A_ROUND of them. */
  round(): Promise<void>;
  /** Resolves when the containers of the sessions that were ended are removed. */
  done(): Promise<void>;
}

export function createExpiry(deps: ExpiryDeps): Expiry {
  const { queries, logger, now, sessionMaxLifeMs, record, carryOut } = deps;
  const waiting: WorkerId[] = [];
  const removing = new Set<Promise<void>>();

  async function removeAll(): Promise<void> {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) await carryOut(id);
  }

  function remove(id: WorkerId): void {
    waiting.push(id);
    if (removing.size >= MAX_PARALLEL_CLOSES) return;
    const removal = removeAll().finally(() => removing.delete(removal));
    removing.add(removal);
  }

  async function end(session: Session, at: Date): Promise<void> {
    const isDue = (current: Session) => expiryOf(current, sessionMaxLifeMs) <= at;
    if (await record(session, isDue)) remove(session.workerId);
  }

  return {
    round: async () => {
      const at = now();
      const due = await queries.expiredSessions(at, sessionMaxLifeMs, MAX_SESSIONS_A_ROUND);
      const ends = due.map((session) =>
        end(session, at).catch((error: unknown) => {
          const details = { error: messageOf(error), sessionId: session.id };
          logger.error(details, 'could not end a session; trying again');
        }),
      );
      await Promise.all(ends);
    },
    done: async () => {
      await Promise.all(removing);
    },
  };
}
