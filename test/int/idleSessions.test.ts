/** A session ends as idle only if nobody has used it: a request that comes first wins, at any gateway. */
import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Commit } from '../../src/events/store/eventStore.ts';
import { recordEnd } from '../../src/pool/endWorker.ts';
import {
  becomesIdle,
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const HOUR_MS = 3_600_000;
const RACES = 40;

const db = await useDatabase();
const keeper = await db.open();
const other = await db.open();

const open = (userUuid: string) => commitOne<'session'>(keeper.store, sessionOpened({ userUuid }));

const closeAsIdle = (session: Session, idleSince: Date): Commit => ({
  streams: [
    {
      stream: 'session',
      id: session.id,
      state: session,
      events: [{ type: 'SessionClosed', data: { at: new Date().toISOString(), reason: 'idle' } }],
    },
  ],
  idleSince,
});

const request = ({ id, version, workerId }: Session): Commit => ({
  streams: [executionRequested({ sessionId: id, workerId })],
  openSessions: [{ id, version }],
});

describe('the end of an idle session', () => {
  it('is recorded if nobody used the session', async () => {
    const session = await open('nobody');
    const { states } = await keeper.store.commit(closeAsIdle(session, new Date()));
    expect(states).toMatchObject([{ closeReason: 'idle' }]);
  });

  it('is refused while an execution is queued or runs, and if one has ended after `idleSince`', async () => {
    const session = await open('somebody');
    const { states } = await keeper.store.commit(request(session));
    const past = new Date(Date.now() - HOUR_MS);
    const refusal = { name: 'SessionInUseError' };
    await expect(keeper.store.commit(closeAsIdle(session, new Date()))).rejects.toMatchObject(
      refusal,
    );
    await commitOne(keeper.store, onExecution(states[0] as Execution, executionFinished()));
    await expect(keeper.store.commit(closeAsIdle(session, past))).rejects.toMatchObject(refusal);
    const soon = new Date(Date.now() + HOUR_MS);
    await keeper.store.commit(closeAsIdle(session, soon));
    expect(await keeper.queries.session(session.id)).toMatchObject({ closeReason: 'idle' });
  });

  it('is refused if there was another use at `idleSince` or later, such as a transfer of a file', async () => {
    const session = await open('uploader');
    const usedAt = new Date();
    expect(await other.queries.touchSession(session.id, usedAt)).toBe(true);
    await expect(keeper.store.commit(closeAsIdle(session, usedAt))).rejects.toMatchObject({
      name: 'SessionInUseError',
    });
    await keeper.store.commit(closeAsIdle(session, new Date(usedAt.getTime() + 1)));
    expect(await db.sql`SELECT * FROM session_uses WHERE session_id = ${session.id}`).toEqual([]);
    expect(await other.queries.touchSession(session.id, new Date())).toBe(false);
  });

  it("is not recorded, nor is the end of the session's worker, if a use came after the keeper's check", async () => {
    const requested = await commitOne<'worker'>(keeper.store, workerRequested());
    const { id: workerId } = await commitOne<'worker'>(
      keeper.store,
      onWorker(requested, ...becomesIdle()),
    );
    const opened = sessionOpened({ userUuid: 'back-in-time', workerId });
    const { id } = await commitOne<'session'>(keeper.store, opened);
    const deps = { database: keeper, now: () => new Date() };
    const retire = (idleSince: Date) =>
      recordEnd(deps, workerId, { type: 'RetireWorker', reason: 'idle', condition: { idleSince } });
    const usedAt = new Date();
    expect(await other.queries.touchSession(id, usedAt)).toBe(true);
    expect(await retire(usedAt)).toBeNull();
    expect(await keeper.queries.session(id)).toMatchObject({ closedAt: null });
    expect(await keeper.queries.worker(workerId)).toMatchObject({ state: 'IDLE' });
    expect(await retire(new Date(usedAt.getTime() + 1))).toMatchObject({ id, closeReason: 'idle' });
    expect(await keeper.queries.worker(workerId)).toMatchObject({ state: 'RETIRED' });
  });

  it('the end of an idle session and another use of it never both succeed', async () => {
    const sessions = await Promise.all(
      Array.from({ length: RACES }, (_, index) => open(`use-race-${index}`)),
    );
    for (const [index, session] of sessions.entries()) {
      // Taken before the race, because a use before `idleSince` would not count.
      const idleSince = new Date();
      const closing = () =>
        keeper.store.commit(closeAsIdle(session, idleSince)).then(
          () => true,
          () => false,
        );
      const using = () => other.queries.touchSession(session.id, new Date());
      const [first, second] = index % 2 === 0 ? [closing, using] : [using, closing];
      const outcomes = await Promise.all([first(), second()]);
      expect(outcomes.filter(Boolean)).toHaveLength(1);
    }
  });

  it('the end of an idle session and a request at another gateway never both succeed', async () => {
    const sessions = await Promise.all(
      Array.from({ length: RACES }, (_, index) => open(`race-${index}`)),
    );
    const ends: string[] = [];
    for (const [index, session] of sessions.entries()) {
      const idleSince = new Date();
      const closing = () => keeper.store.commit(closeAsIdle(session, idleSince));
      const requesting = () => other.store.commit(request(session));
      // Each side begins half of the races.
      const [first, second] = index % 2 === 0 ? [closing, requesting] : [requesting, closing];
      const outcomes = await Promise.allSettled([first(), second()]);
      const done = outcomes.map(({ status }) => status === 'fulfilled');
      expect(done.filter(Boolean)).toHaveLength(1);
      ends.push(done[index % 2] ? 'closed' : 'used');
    }
    expect(new Set(ends)).toEqual(new Set(['closed', 'used']));
  });
});
