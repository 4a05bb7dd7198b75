/** A kernel restart that works on any gateway, in the same way as an interrupt (requestInterrupt.ts). */
import { DomainError } from '../../domain/errors.ts';
import { decideSession, type Session } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { type EventNews, listenForNews } from '../../events/wakeUps/eventNews.ts';

/** On a busy machine, a kernel without a fork server takes some seconds to start, and so may a take-over before it. */
const RESTART_LIMIT_MS = 30_000;
/**
 * The event feed reports the restart. Reads at this interval cover the case that the feed was interrupted when it came.
 */
const LOOK_INTERVAL_MS = 5_000;

export interface RequestKernelRestartDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/** Resolves with the session after a restart, or with null if the session is closed. @throws POOL_INITIALIZING */
export async function requestKernelRestart(
  deps: RequestKernelRestartDeps,
  session: Session,
): Promise<Session | null> {
  const news = listenForNews(deps.database.wakeUps, ({ streamId }) => streamId === session.id);
  try {
    const requested = await record(deps, session);
    return requested && (await replaced(deps, requested, news));
  } finally {
    news.close();
  }
}

async function record(
  { database, now }: RequestKernelRestartDeps,
  { id }: Session,
): Promise<Session | null> {
  const outcome = await decideAndCommit(database.store, {
    load: () => database.queries.session(id),
    decide: (state) => {
      const command = { type: 'RequestKernelRestart', at: now().toISOString() } as const;
      const events = decideSession(command, state);
      return commitChanges({ streams: [{ stream: 'session', id, state, events }] });
    },
  });
  return outcome.type === 'committed' ? (outcome.committed.states[0] as Session) : null;
}

async function replaced(
  { database }: RequestKernelRestartDeps,
  requested: Session,
  news: EventNews,
): Promise<Session | null> {
  const limit = performance.now() + RESTART_LIMIT_MS;
  for (;;) {
    const session = await database.queries.session(requested.id);
    if (session === null || session.closedAt !== null) return null;
    if (session.kernelRestarts > requested.kernelRestarts) return session;
    if (performance.now() > limit) throw notYet();
    await news.next(LOOK_INTERVAL_MS);
  }
}

function notYet(): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    `The kernel was not replaced within ${RESTART_LIMIT_MS} ms. The request is recorded and will be carried out as soon as the worker answers. The session's \`kernelRestarts\` will then have grown.`,
  );
}
