/** A fresh kernel, from any gateway, by the same way as an interrupt (requestInterrupt.ts). */
import { DomainError } from '../../domain/errors.ts';
import { decideSession, type Session } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { type EventNews, listenForNews } from '../../events/wakeUps/eventNews.ts';

/** A kernel made the slow way takes some seconds on a busy machine, and so does a take-over before it. */
const RESTART_LIMIT_MS = 30_000;
/** The event tells; this is for the case that the feed was cut off while it came. */
const LOOK_INTERVAL_MS = 5_000;

export interface RequestKernelRestartDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/** Resolves with the session once a kernel has been replaced since; null: it is closed. @throws POOL_INITIALIZING */
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
    `The kernel has not been replaced within ${RESTART_LIMIT_MS} ms. The request is recorded: it is carried out as soon as the worker answers, and kernelRestarts of the session tells when.`,
  );
}
