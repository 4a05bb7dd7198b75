/** Sessions with options, at two gateways. The workers are programmed. */
import { describe, expect, it } from 'vitest';
import type { Session } from '../../src/domain/session.ts';
import type { Database } from '../../src/events/database.ts';
import type { EventStore } from '../../src/events/store/eventStore.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const OPTIONS = { metadata: { team: 'red', task: '7' }, idleTimeoutMs: 60_000, maxLifeMs: 120_000 };
const LONGEST_MS = 600_000;
/** A life that ends soon, and is longer than the next call takes to arrive on a busy machine. */
const SHORT_MS = 3_000;

const { db, workers, start, userUuid } = await useServiceGateways({
  LONGEST_SESSION_LIFE_MS: String(LONGEST_MS),
  WORKER_WAIT_TIMEOUT_MS: '20000',
});
const one = await start();
const other = await start();
/** What happens right before the third gateway's next commit of a new execution. */
let overtake: (() => Promise<unknown>) | null = null;
const overtaken = await start({ database: await overtakenDatabase() });
const { service } = one;

const open = (options = {}, { service } = one) =>
  service.openSession(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), ...options });
const run = (code = '1', { service } = one) =>
  service.execute(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code });
const last = () => service.session(AUTH_TOKEN_HOLDER, userUuid()) as Promise<Session>;
const release = () => service.release(AUTH_TOKEN_HOLDER, userUuid());
const extend = (lifeMs: number, { service } = one) =>
  service.extendSession(AUTH_TOKEN_HOLDER, userUuid(), lifeMs);
const end = () => extend(0);
const prolong = (lifeMs: number, { service } = one) =>
  service.prolongSession(AUTH_TOKEN_HOLDER, userUuid(), lifeMs);
const ended = () => until('the end of the session', async () => (await last()).closedAt !== null);

async function overtakenDatabase(): Promise<Database> {
  const database = await db.open();
  const { store } = database;
  const commit: EventStore['commit'] = async (asked) => {
    const isRequest = asked.streams.some((each) => each.stream === 'execution' && !each.state);
    const before = isRequest ? overtake : null;
    if (before) overtake = null;
    await before?.();
    return await store.commit(asked);
  };
  return { ...database, store: { ...store, commit } };
}

describe('openSession', () => {
  it('opens a session with its worker and without an execution, and returns it again', async () => {
    const session = await open(OPTIONS);
    expect(session).toMatchObject({ ...OPTIONS, closedAt: null, environmentVariableNames: [] });
    expect(session.expiresAt).toEqual(new Date(session.openedAt.getTime() + OPTIONS.maxLifeMs));
    const again = { ...OPTIONS, metadata: { task: '7', team: 'red' } };
    expect(await open(again)).toEqual(session);
    expect(await open(again, other)).toEqual(session);
    expect(await run()).toMatchObject({ sessionId: session.id, status: 'OK', stateLost: false });
  });

  it('opens one session for calls at the same time', async () => {
    const gateways = [one, other, one, other];
    const sessions = await Promise.all(gateways.map((gateway) => open(OPTIONS, gateway)));
    expect(new Set(sessions.map(({ id }) => id)).size).toBe(1);
    const events = await db.readStream('session', sessions[0]?.id ?? '');
    expect(events.map(({ event }) => event.type)).toEqual(['SessionOpened']);
  });

  it('without options returns the plain session that an execution opened, or opens a plain session', async () => {
    const { sessionId } = await run();
    expect(await open()).toMatchObject({ id: sessionId, hasOptions: false });
    expect(await open({ metadata: {}, idleTimeoutMs: null, maxLifeMs: null })).toMatchObject({
      id: sessionId,
    });
    await release();
    expect(await open()).toMatchObject({ hasOptions: false, expiresAt: null });
  });

  it('with other options than the open session is refused, and names what differs', async () => {
    const { id } = await open(OPTIONS);
    const asked = { metadata: { team: 'blue', more: 'x' }, idleTimeoutMs: 61_000 };
    for (const gateway of [one, other]) {
      await expect(open(asked, gateway)).rejects.toMatchObject({
        code: 'SESSION_OPTIONS_DIFFER',
        message: expect.stringContaining(
          'idleTimeoutMs, maxLifeMs, metadata.more, metadata.task, metadata.team',
        ),
        details: {
          sessionId: id,
          options: [
            'idleTimeoutMs',
            'maxLifeMs',
            'metadata.more',
            'metadata.task',
            'metadata.team',
          ],
        },
      });
    }
    await expect(open()).rejects.toMatchObject({ code: 'SESSION_OPTIONS_DIFFER' });
    expect(await last()).toMatchObject({ id, closedAt: null });
  });

  it('opens another session if the gateway does not know yet that the former one has ended', async () => {
    const { id } = await open(OPTIONS);
    await other.service.release(AUTH_TOKEN_HOLDER, userUuid());
    expect((await open(OPTIONS)).id).not.toBe(id);
  });
});

describe('openSession with egressAllow', () => {
  const settings = {
    EGRESS_ALLOW: 'pypi.org,*.example.org,10.0.0.5:8080',
    TENANT_EGRESS_ALLOW: 'small=pypi.org:443',
  };

  it('narrows what the code may reach, and is normalised and compared like other options', async () => {
    const gateway = await start({ settings });
    const session = await open({ egressAllow: ['a.Example.org:443', 'pypi.org'] }, gateway);
    expect(session.egressAllow).toEqual(['a.example.org:443', 'pypi.org']);
    const again = ['pypi.org', 'a.example.org:443', 'pypi.org'];
    expect((await open({ egressAllow: again }, gateway)).id).toBe(session.id);
    for (const egressAllow of [['pypi.org'], [], null])
      await expect(open({ egressAllow }, gateway)).rejects.toMatchObject({
        code: 'SESSION_OPTIONS_DIFFER',
        details: { options: ['egressAllow'] },
      });
    await release();
    expect(await open({ egressAllow: [] }, gateway)).toMatchObject({ egressAllow: [] });
    await release();
    expect(await open({}, gateway)).toMatchObject({ egressAllow: null, hasOptions: false });
  });

  it('never widens what the code may reach, neither beyond EGRESS_ALLOW nor beyond the list of the tenant', async () => {
    const gateway = await start({ settings });
    const refused = (egressAllow: readonly string[], tenant = 'default') =>
      expect(
        gateway.service.openSession(
          { ...AUTH_TOKEN_HOLDER, tenant },
          { userUuid: userUuid(), egressAllow },
        ),
      ).rejects;
    await refused(['pypi.org', 'example.org']).toMatchObject({
      code: 'BAD_USER_INPUT',
      message:
        'egressAllow names example.org:80, example.org:443, which is not in EGRESS_ALLOW of this installation.',
    });
    await refused(['10.0.0.5:80']).toMatchObject({
      message: expect.stringContaining('names 10.0.0.5:80, which'),
    });
    await refused(['pypi.org'], 'small').toMatchObject({
      message: 'egressAllow names pypi.org:80, which is not in what this tenant may reach.',
    });
    expect(
      await gateway.service.sessions(AUTH_TOKEN_HOLDER, { userUuid: userUuid() }, {}),
    ).toMatchObject({
      edges: [],
    });
  });
});

describe('after a session with options has ended without a release', () => {
  it.each(['execute', 'submit', 'executeBatch'] as const)(
    '%s is refused at any gateway',
    async (how) => {
      const { id } = await open(OPTIONS);
      await end();
      await ended();
      for (const gateway of [one, other]) {
        const call =
          how === 'executeBatch'
            ? gateway.service.executeBatch(AUTH_TOKEN_HOLDER, {
                userUuid: userUuid(),
                cells: [{ code: '1' }],
              })
            : gateway.service[how](AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: '1' });
        await expect(call).rejects.toMatchObject({
          code: 'SESSION_ENDED',
          message: expect.stringContaining('has ended (expired)'),
          details: { sessionId: id, closeReason: 'EXPIRED', closedAt: expect.any(String) },
        });
      }
      expect((await last()).id).toBe(id);
    },
  );

  it('openSession opens another session, of which only the first execution has `stateLost`', async () => {
    await open(OPTIONS);
    await end();
    await ended();
    const { id } = await open({ metadata: { team: 'blue' } });
    expect(await run()).toMatchObject({ sessionId: id, stateLost: true });
    expect(await run('1', other)).toMatchObject({ sessionId: id, stateLost: false });
  });

  it('only the first execution has `stateLost`, even if it ends while a second is recorded', async () => {
    await open(OPTIONS);
    await end();
    await ended();
    const { id } = await open({}, overtaken);
    const told: Awaited<ReturnType<typeof run>>[] = [];
    overtake = async () => told.push(await run());
    told.push(await run('1', overtaken));
    expect(told).toMatchObject([
      { sessionId: id, status: 'OK', stateLost: true },
      { sessionId: id, status: 'OK', stateLost: false },
    ]);
  });

  it('a release makes the next call open a plain session, whose first execution has `stateLost`', async () => {
    await open(OPTIONS);
    await end();
    await ended();
    expect(await release()).toBeNull();
    expect(await release()).toBeNull();
    expect(await run()).toMatchObject({ status: 'OK', stateLost: true });
    expect(await last()).toMatchObject({ hasOptions: false });
  });

  it('nothing is refused if the session was released, or had no options', async () => {
    await open(OPTIONS);
    await release();
    expect(await run()).toMatchObject({ status: 'OK', stateLost: false });
    await end();
    await ended();
    expect(await run()).toMatchObject({ status: 'OK', stateLost: true });
  });
});

describe('the end of a life', () => {
  it('comes within a second of its time, while code runs', async () => {
    workers.hold();
    const session = await open({ maxLifeMs: SHORT_MS });
    const running = run(HOLD);
    await ended();
    const { expiresAt, closedAt, closeReason } = await last();
    expect(closeReason).toBe('expired');
    const lateMs = Number(closedAt) - Number(expiresAt);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(1_000);
    expect(expiresAt).toEqual(new Date(session.openedAt.getTime() + SHORT_MS));
    expect((await running).status).toBe('CANCELLED');
    workers.letGo();
  });

  it('is recorded within a second for many sessions at once', async () => {
    const users = Array.from({ length: 8 }, (_, index) => `${userUuid()}-${index}`);
    const life = { maxLifeMs: 2_500 };
    await Promise.all(
      users.map((name) => service.openSession(AUTH_TOKEN_HOLDER, { userUuid: name, ...life })),
    );
    const read = () => Promise.all(users.map((name) => service.session(AUTH_TOKEN_HOLDER, name)));
    await until('all ends', async () => (await read()).every((session) => session?.closedAt));
    for (const session of await read()) {
      expect(Number(session?.closedAt) - Number(session?.expiresAt)).toBeLessThan(1_000);
    }
  });

  it('moves with extendSession, later and earlier', async () => {
    const { id, openedAt } = await open({ maxLifeMs: SHORT_MS });
    const before = Date.now();
    const longer = await extend(60_000, other);
    expect(longer.id).toBe(id);
    expect(Number(longer.expiresAt)).toBeGreaterThanOrEqual(before + 60_000);
    await until(
      'the former end has passed',
      async () => Date.now() > Number(openedAt) + SHORT_MS + 1_000,
    );
    expect(await run()).toMatchObject({ sessionId: id });
    expect(await open({ maxLifeMs: SHORT_MS })).toMatchObject({ id, expiresAt: longer.expiresAt });
    await end();
    await ended();
    const events = await db.readStream('session', id);
    expect(events.map(({ event }) => event.type)).toEqual([
      'SessionOpened',
      'SessionLifeChanged',
      'SessionLifeChanged',
      'SessionClosed',
    ]);
  });

  it('is at most the longest life after the opening', async () => {
    await open();
    const refused = { code: 'BAD_USER_INPUT', details: { field: 'lifeMs' } };
    await expect(extend(LONGEST_MS + 1)).rejects.toMatchObject(refused);
    await until('some time to pass', async () => Date.now() > Number((await last()).openedAt));
    await expect(extend(LONGEST_MS)).rejects.toMatchObject(refused);
    await extend(LONGEST_MS - 30_000);
  });

  it('moves with prolongSession, later only, and at most to the longest life', async () => {
    const { id, openedAt, expiresAt } = await open({ maxLifeMs: 60_000 });
    expect(await prolong(1_000, other)).toMatchObject({ id, expiresAt });
    expect(await prolong(0)).toMatchObject({ id, expiresAt });
    const before = Date.now();
    const longer = Number((await prolong(90_000)).expiresAt);
    expect(longer).toBeGreaterThanOrEqual(before + 90_000);
    expect(longer).toBeLessThanOrEqual(Date.now() + 90_000);
    const latest = new Date(Number(openedAt) + LONGEST_MS);
    expect(await prolong(LONGEST_MS, other)).toMatchObject({ expiresAt: latest });
    expect(await prolong(LONGEST_MS)).toMatchObject({ expiresAt: latest });
    const events = await db.readStream('session', id);
    expect(events.map(({ event }) => event.type)).toEqual([
      'SessionOpened',
      'SessionLifeChanged',
      'SessionLifeChanged',
    ]);
    const refused = { code: 'BAD_USER_INPUT', details: { field: 'lifeMs' } };
    for (const lifeMs of [-1, 0.5, LONGEST_MS + 1])
      await expect(prolong(lifeMs)).rejects.toMatchObject(refused);
  });

  it('cannot be moved if no session is open', async () => {
    await expect(extend(1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(prolong(1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

it('a session with an idle timeout of its own ends when it was not used for that time', async () => {
  const { id, openedAt } = await open({ idleTimeoutMs: 2_000 });
  const usedUntil = Number(openedAt) + 3_000;
  await until('uses to be over', async () => {
    await open({ idleTimeoutMs: 2_000 });
    return Date.now() > usedUntil;
  });
  await ended();
  const session = await last();
  expect(session).toMatchObject({ id, closeReason: 'idle' });
  expect(Number(session.closedAt)).toBeGreaterThanOrEqual(usedUntil + 1_000);
  expect(Number(session.closedAt)).toBeLessThan(usedUntil + 5_000);
  await expect(run()).rejects.toMatchObject({ code: 'SESSION_ENDED' });
});

it('lists give the sessions whose metadata have all of the given pairs, and their executions', async () => {
  const names = ['a', 'b', 'c'].map((letter) => `${userUuid()}-${letter}`);
  const kinds = [{ kind: userUuid(), size: 'l' }, { kind: userUuid(), size: 's' }, {}];
  const made = [];
  for (const [index, metadata] of kinds.entries()) {
    const request = { userUuid: names[index] ?? '', metadata };
    made.push((await service.openSession(AUTH_TOKEN_HOLDER, request)).id);
    await service.execute(AUTH_TOKEN_HOLDER, { userUuid: request.userUuid, code: '1' });
  }
  const [large, small] = made;
  const found = async (metadata: unknown) => {
    const sessions = await service.sessions(AUTH_TOKEN_HOLDER, { metadata }, {});
    const executions = await service.executions(AUTH_TOKEN_HOLDER, { metadata }, {});
    const ids = sessions.edges.map(({ item }) => item.id);
    expect(executions.edges.map(({ item }) => item.sessionId)).toEqual(ids);
    return ids;
  };
  expect(await found({ kind: userUuid() })).toEqual([small, large]);
  expect(await found({ kind: userUuid(), size: 's' })).toEqual([small]);
  expect(await found({ kind: userUuid(), size: 'm' })).toEqual([]);
  expect(await found({ kind: userUuid(), size: 's', more: '' })).toEqual([]);
});
