/** The limits of commands and of contexts, and which executions keep a session from being idle. */
import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionOptions } from '../../src/domain/executionOptions.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Commit } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import { createOpenSessions } from '../../src/service/openSessions.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onSession,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const COMMAND = { language: 'BASH' } as const;
const SERVER = { ...COMMAND, keepAlive: true } as const;
const HOUR_MS = 3_600_000;

const db = await useDatabase();
const gateway = await db.open();
const { store, queries } = gateway;

let users = 0;
async function openSession(openedAt = new Date()): Promise<Session> {
  users += 1;
  const open = sessionOpened({ userUuid: `user-${users}`, at: openedAt.toISOString() });
  return await commitOne<'session'>(store, open);
}

interface Asked {
  readonly options?: ExecutionOptions;
  readonly at?: Date;
  readonly limits?: Partial<Commit>;
}

const request = (
  { id: sessionId, workerId }: Session,
  { options = {}, at = new Date(), limits = {} }: Asked = {},
): Promise<Execution> =>
  commitOne<'execution'>(
    store,
    executionRequested({ sessionId, workerId, at: at.toISOString(), ...options }),
    limits,
  );

describe('the limit of unfinished executions', () => {
  it('applies separately to the default context, to each other context, and to all commands', async () => {
    const session = await openSession();
    const limits = { maxUnfinished: 1 };
    const [first, second] = [newId<ContextId>(), newId<ContextId>()];
    const lanes: ExecutionOptions[] = [{}, { contextId: first }, { contextId: second }, COMMAND];
    for (const options of lanes) await request(session, { options, limits });
    for (const options of [...lanes, SERVER])
      await expect(request(session, { options, limits })).rejects.toMatchObject({
        limit: 'maxUnfinished',
        count: 2,
      });
  });

  it('counts the executions of the commit itself', async () => {
    const { id: sessionId, workerId } = await openSession();
    const streams = [{}, COMMAND, SERVER].map((options) =>
      executionRequested({ sessionId, workerId, ...options }),
    );
    await expect(store.commit({ streams, maxUnfinished: 1 })).rejects.toMatchObject({ count: 2 });
    await store.commit({ streams, maxUnfinished: 2 });
  });
});

describe('the first execution of a session', () => {
  it('is the first in its default context, even if other contexts or commands ran before', async () => {
    const session = await openSession();
    const limits = { isFirstExecution: true };
    await request(session, { options: COMMAND });
    await request(session, { options: { contextId: newId<ContextId>() } });
    expect(await queries.hasExecution(session.id)).toBe(false);
    await request(session, { limits });
    expect(await queries.hasExecution(session.id)).toBe(true);
    await expect(request(session, { limits })).rejects.toMatchObject({ on: 'session' });
  });

  it('is remembered by a gateway only if it is in the default context', async () => {
    const session = await openSession();
    const known = createOpenSessions({ ...queries, hasExecution: async () => false });
    await known.load();
    gateway.wakeUps.onEvent((recorded) => known.apply(recorded));
    await request(session, { options: COMMAND });
    await request(session, { options: { contextId: newId<ContextId>() } });
    expect(await known.hasExecution(session)).toBe(false);
    await request(session);
    await expect.poll(() => known.hasExecution(session)).toBe(true);
  });
});

describe('a session', () => {
  const hourAgo = () => new Date(Date.now() - HOUR_MS);
  const halfHourAgo = () => new Date(Date.now() - HOUR_MS / 2);
  const isIdle = async ({ id }: Session) =>
    (await queries.idleSessions(new Date(), HOUR_MS / 2, 1_000)).some(
      (session) => session.id === id,
    );
  const close = (session: Session) => {
    const data = { at: new Date().toISOString(), reason: 'idle' as const };
    const closed = onSession(session, { type: 'SessionClosed', data });
    return store.commit({ streams: [closed], idleSince: halfHourAgo() });
  };

  it('is idle even while a command runs that was requested long ago, and after its end', async () => {
    const session = await openSession(new Date(Date.now() - 2 * HOUR_MS));
    const execution = await request(session, { options: COMMAND, at: hourAgo() });
    expect(await isIdle(session)).toBe(true);
    await commitOne(store, onExecution(execution, executionFinished()));
    expect(await isIdle(session)).toBe(true);
    expect((await close(session)).states).toMatchObject([{ closeReason: 'idle' }]);
  });

  it.each([
    ['code', {}, hourAgo],
    ['code of another context', { contextId: newId<ContextId>() }, hourAgo],
    ['a command that is to keep it alive', SERVER, hourAgo],
    ['a command that was asked for just now', COMMAND, () => new Date()],
  ] as const)('is not idle while %s runs, and after its end', async (_name, options, at) => {
    const session = await openSession(new Date(Date.now() - 2 * HOUR_MS));
    const execution = await request(session, { options, at: at() });
    expect(await isIdle(session)).toBe(false);
    await expect(close(session)).rejects.toThrow('used meanwhile');
    await commitOne(store, onExecution(execution, executionFinished()));
    expect(await isIdle(session)).toBe(false);
    await expect(close(session)).rejects.toThrow('used meanwhile');
  });

  it('was last active when a command was requested, or when code ended', async () => {
    const session = await openSession(new Date(Date.now() - 2 * HOUR_MS));
    const activity = async () => (await queries.lastActivity([session.id])).get(session.id);
    const command = await request(session, { options: COMMAND, at: hourAgo() });
    await commitOne(store, onExecution(command, executionFinished()));
    expect(await activity()).toEqual(command.requestedAt);
    const at = halfHourAgo();
    const cell = await request(session, { at: hourAgo() });
    await commitOne(store, onExecution(cell, executionFinished({ at: at.toISOString() })));
    expect(await activity()).toEqual(at);
  });
});

it('the row of a command has its options and its end, for auditors too', async () => {
  const session = await openSession();
  const options = {
    ...COMMAND,
    workingDirectory: '/tmp',
    environmentVariableNames: ['A', 'B'],
    pty: { columns: 80, rows: 24 },
    stopOnError: true as const,
  };
  const { language: _, ...stored } = options;
  const command = await request(session, { options });
  const end = executionFinished({ status: 'ERROR', exitCode: 3, signal: null });
  const ended = await commitOne<'execution'>(store, onExecution(command, end));
  expect(ended).toMatchObject({
    language: 'BASH',
    keepsAlive: false,
    exitCode: 3,
    options: stored,
  });
  expect(await queries.execution(command.id)).toEqual(ended);
  const [row] = await db.sql`
    SELECT language, context_id, exit_code, signal, input_bytes::int AS bytes, is_stopping_on_error AS stops
    FROM audit.executions
    WHERE execution_id = ${command.id}`;
  const told = { exitCode: 3, signal: null, bytes: 0, stops: true };
  expect(row).toEqual({ language: 'BASH', contextId: null, ...told });
});
