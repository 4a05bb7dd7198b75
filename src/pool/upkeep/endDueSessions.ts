/**
 * Ends sessions whose lifetime is over, and idle ones. Each round first records all ends at once. From then on the
 * sessions are closed, and no call reaches them. Removing their containers is slow, so it follows in the background.
 */
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { WorkerId } from '../../domain/ids.ts';
import { expiryOf, type Session } from '../../domain/session.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { EndCondition } from '../endWorker.ts';

/** Limits the rows of one read. The next round ends the rest. */
const MAX_SESSIONS_A_ROUND = 100;
/** The engine can remove this many containers at a time without slowing down its other work. */
const MAX_PARALLEL_REMOVALS = 4;

export interface DueSessionsDeps {
  readonly queries: Pick<Queries, 'expiredSessions' | 'idleSessions'>;
  readonly logger: Logger;
  readonly now: () => Date;
  /** The lifetime of a session that does not define its own. */
  readonly sessionMaxLifeMs: number;
  /** The idle time of a session that does not define its own. */
  readonly sessionIdleTimeoutMs: number;
  /** Records the end of a worker and its session. Null: the condition does not hold, so the session stays open. */
  readonly recordEnd: (
    workerId: WorkerId,
    reason: 'expired' | 'idle',
    condition: EndCondition,
  ) => Promise<Session | null>;
  /** Carries out a recorded end. Never throws. */
  readonly carryOutEnd: (workerId: WorkerId) => Promise<void>;
}

/** Each round resolves when the ends of the sessions that are due are recorded. */
export interface DueSessions {
  endExpired(): Promise<void>;
  endIdle(): Promise<void>;
  /** Resolves when the containers of the sessions that were ended are removed. */
  done(): Promise<void>;
}

export function createDueSessions(deps: DueSessionsDeps): DueSessions {
  const { queries, logger, now, sessionMaxLifeMs, sessionIdleTimeoutMs } = deps;
  const waiting: WorkerId[] = [];
  const removing = new Set<Promise<void>>();

  async function removeAll(): Promise<void> {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift())
      await deps.carryOutEnd(id);
  }

  function remove(id: WorkerId): void {
    waiting.push(id);
    if (removing.size >= MAX_PARALLEL_REMOVALS) return;
    const removal = removeAll().finally(() => removing.delete(removal));
    removing.add(removal);
  }

  async function endAll(
    due: readonly Session[],
    reason: 'expired' | 'idle',
    conditionOf: (session: Session) => EndCondition,
  ): Promise<void> {
    const ends = due.map(async (session) => {
      try {
        const ended = await deps.recordEnd(session.workerId, reason, conditionOf(session));
        if (ended) remove(session.workerId);
      } catch (error: unknown) {
        const details = { error: messageOf(error), sessionId: session.id };
        logger.error(details, 'could not end a session; trying again');
      }
    });
    await Promise.all(ends);
  }

  return {
    endExpired: async () => {
      const at = now();
      const due = await queries.expiredSessions(at, sessionMaxLifeMs, MAX_SESSIONS_A_ROUND);
      // The session's lifetime may just have been extended.
      const isDue = (session: Session) => expiryOf(session, sessionMaxLifeMs) <= at;
      await endAll(due, 'expired', () => ({ isDue }));
    },
    endIdle: async () => {
      const at = now();
      const due = await queries.idleSessions(at, sessionIdleTimeoutMs, MAX_SESSIONS_A_ROUND);
      await endAll(due, 'idle', ({ idleTimeoutMs }) => ({
        idleSince: new Date(at.getTime() - (idleTimeoutMs ?? sessionIdleTimeoutMs)),
      }));
    },
    done: async () => {
      await Promise.all(removing);
    },
  };
}
