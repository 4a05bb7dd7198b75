/** The cache of open sessions is right whatever events arrive while it reads. */
import { expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import { evolveSession, type Session, type SessionEvent } from '../../src/domain/session.ts';
import { createOpenSessions } from '../../src/service/openSessions.ts';
import { sessionOpened } from '../../testkit/events.ts';

const AT = new Date().toISOString();
const CLOSED = { type: 'SessionClosed', data: { at: AT, reason: 'released' } } as const;
const RESTARTED = {
  type: 'KernelRestarted',
  data: { at: AT, reason: 'user', executionId: null },
} as const;

/** A session of one user, and how to record its events. */
function newSession() {
  const { id, events } = sessionOpened();
  const [opened] = events as SessionEvent[];
  if (opened === undefined) throw new Error('There is no event.');
  const recorded = (event: SessionEvent, version: number) =>
    ({ streamKind: 'session', streamId: id, version, event }) as unknown as RecordedEvent;
  return {
    id,
    session: evolveSession(null, opened),
    opened: recorded(opened, 1),
    restarted: recorded(RESTARTED, 2),
    closed: recorded(CLOSED, 2),
  };
}

/** A cache whose reads the test answers. */
function createCache() {
  const answers: ((rows: readonly Session[]) => void)[] = [];
  const cache = createOpenSessions({
    openSession: async () => null,
    hasExecution: async () => false,
    openSessions: () => new Promise((resolve) => answers.push((rows) => resolve([...rows]))),
  });
  const present = () => cache.get('default', 'user-1');
  return { cache, present, answer: (rows: readonly Session[]) => answers.shift()?.(rows) };
}

it('a session that was closed while it was read stays closed', async () => {
  const { cache, present, answer } = createCache();
  const old = newSession();
  cache.apply(old.opened);
  const loading = cache.load();
  cache.apply(old.closed);
  answer([old.session]);
  await loading;
  expect(present()).toBeNull();
});

it('the next session of the user stays, with its latest state, when a read still has the one before', async () => {
  const { cache, present, answer } = createCache();
  const [old, next] = [newSession(), newSession()];
  cache.apply(old.opened);
  const loading = cache.load();
  for (const event of [old.closed, next.opened, next.restarted]) cache.apply(event);
  answer([old.session]);
  await loading;
  expect(present()).toMatchObject({ id: next.id, version: 2 });
});

it('a session that was opened while others were read is known', async () => {
  const { cache, present, answer } = createCache();
  const next = newSession();
  const loading = cache.load();
  cache.apply(next.opened);
  answer([]);
  await loading;
  expect(present()).toMatchObject({ id: next.id });
});
