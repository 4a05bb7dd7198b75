import type { Execution } from '../../domain/execution.ts';
import type { OpenSessions } from '../openSessions.ts';
import type { SessionUses } from './sessionUses.ts';

export interface CountUseDeps {
  readonly sessions: Pick<OpenSessions, 'get'>;
  readonly sessionUses: Pick<SessionUses, 'use'>;
}

/** A call for an unfinished execution is a use of its session, if this gateway knows the session as open. */
export async function countUse(
  { sessions, sessionUses }: CountUseDeps,
  { tenant, userUuid, sessionId, finishedAt }: Execution,
): Promise<void> {
  if (finishedAt !== null) return;
  const session = sessions.get(tenant, userUuid);
  if (session?.id === sessionId) await sessionUses.use(session);
}
