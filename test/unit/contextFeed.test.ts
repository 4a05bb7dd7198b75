/**
 * The listeners and the memory of a follower of a context, and the order and number of the messages to it, without a
 * database. test/e2e/jupyterDoor.test.ts tests the content of the messages with real clients.
 */
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import type { RecordedEvent } from '../../src/domain/events.ts';
import { defaultView } from '../../src/service/contexts/contexts.ts';
import type { KernelView } from '../../src/service/contexts/kernels.ts';
import { createContextFeed } from '../../src/service/output/contextFeed.ts';
import { followContext } from '../../src/service/output/followContext.ts';
import { AUTH_TOKEN_HOLDER as ME } from '../../src/service/principal.ts';
import { executionFinished, executionRequested } from '../../testkit/events.ts';
import { openSession } from '../support/states.ts';

type FeedDeps = Parameters<typeof createContextFeed>[0];
type Unfinished = Awaited<ReturnType<FeedDeps['queries']['contextExecutions']>>;

const session = openSession();
const kernel: KernelView = {
  context: defaultView(session),
  tenant: session.tenant,
  userUuid: session.userUuid,
  environment: null,
  lastActivityAt: session.openedAt,
  unfinished: [],
};

/** A database in which nothing runs, and the listeners of its event feed. */
function world(read: () => Promise<Unfinished> = async () => []) {
  const listeners = new Set<(event: RecordedEvent) => void>();
  const deps = {
    queries: {
      session: async () => session,
      contexts: async () => [],
      kernelActivity: async () => [],
      contextExecutions: read,
    },
    wakeUps: {
      onEvent: (listener: (event: RecordedEvent) => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
  } as unknown as FeedDeps;
  const gone = new AbortController();
  const tell = (event: RecordedEvent) => {
    for (const listener of listeners) listener(event);
  };
  return { deps, listeners, tell, feed: () => createContextFeed(deps, kernel, gone.signal) };
}

const CLOSED = {
  streamKind: 'session',
  streamId: session.id,
  event: { type: 'SessionClosed', data: { reason: 'worker-lost' } },
} as unknown as RecordedEvent;

/** The event that code of this size was accepted in the context. */
function requested(codeBytes: number): RecordedEvent {
  const append = executionRequested({ sessionId: session.id, codeBytes });
  const [event] = append.events;
  if (event === undefined) throw new Error('There is no event.');
  const { id: streamId, stream: streamKind } = append;
  return { streamKind, streamId, version: 1, event } as unknown as RecordedEvent;
}

describe('a feed', () => {
  it('has no listener any more when it is closed', async () => {
    const { listeners, feed } = world();
    const open = await feed();
    expect(listeners.size).toBe(1);
    open.close();
    expect(listeners.size).toBe(0);
  });

  it('has no listener any more when its follower cannot be counted as a use of the session', async () => {
    const { deps: database, listeners } = world();
    const away = new DomainError('DATABASE_UNAVAILABLE', 'The database is away.');
    const sessions = { get: () => null, refresh: () => Promise.reject(away) };
    const deps = { database, sessions } as unknown as Parameters<typeof followContext>[0];
    const { signal } = new AbortController();
    const following = followContext(deps, ME, session.id, { gone: signal, reader: null });
    await expect(following).rejects.toBe(away);
    expect(listeners.size).toBe(0);
  });

  it('has no listener any more when it could not begin, because the database was away', async () => {
    const away = new DomainError('DATABASE_UNAVAILABLE', 'The database is away.');
    const { listeners, feed } = world(async () => {
      throw away;
    });
    await expect(feed()).rejects.toBe(away);
    expect(listeners.size).toBe(0);
  });

  it('keeps at most 16 MiB of code for a follower that reads nothing, and then fails with QUEUE_FULL', async () => {
    const { listeners, tell, feed } = world();
    const open = await feed();
    for (let kept = 0; kept < 16; kept += 1) tell(requested(1_048_576));
    expect(listeners.size).toBe(1);
    tell(requested(1));
    expect(listeners.size).toBe(0);
    await expect(open.next()).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  });

  it('gives the end of a waiting execution before the end of the context, although that is recorded first', async () => {
    const { tell, feed } = world();
    const open = await feed();
    const asked = requested(1);
    tell(asked);
    const first = open.next();
    tell(CLOSED);
    tell({ ...asked, version: 2, event: executionFinished({ status: 'WORKER_LOST' }) });
    expect(await first).toMatchObject({ execution: { id: asked.streamId, startedAt: null } });
    expect(await open.next()).toEqual({ type: 'gone' });
  });

  it('counts a restart once, even if its event arrives after the session that includes the restart was read', async () => {
    const { tell, feed } = world();
    const open = await feed();
    const restarted = (version: number) =>
      ({
        streamKind: 'session',
        streamId: session.id,
        version,
        event: { type: 'KernelRestarted', data: { reason: 'user', executionId: null } },
      }) as unknown as RecordedEvent;
    tell(restarted(session.version));
    tell(restarted(session.version + 1));
    const { kernelRestarts } = session;
    expect(await open.next()).toMatchObject({ kernelRestarts: kernelRestarts + 1 });
    tell(CLOSED);
    expect(await open.next()).toEqual({ type: 'gone' });
  });
});
