/**
 * A reader follows a context under a name. If it returns, even at another gateway, it gets the news that it has not
 * acknowledged.
 */
import { describe, expect, it } from 'vitest';
import type { ContextOffset } from '../../src/domain/context.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import type { ContextNews } from '../../src/service/output/followContext.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { db, workers, start, userUuid } = await useServiceGateways({ MIN_IDLE_WORKERS: '3' });
const [{ service: one }, { service: other }] = [await start(), await start()];

/** Opens a session of the test's user. Resolves with the id of its default context. */
const opened = async () => {
  await one.openSession(AUTH_TOKEN_HOLDER, { userUuid: userUuid() });
  const session = await one.session(AUTH_TOKEN_HOLDER, userUuid());
  return session?.id as SessionId;
};
const submit = (code: string) =>
  one.submit(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code, isNotebookCell: true });
const run = (code: string) =>
  one.execute(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code, isNotebookCell: true });

/** Follows the context as this reader, and collects all news until `go()`. */
async function follow(contextId: string, reader: string | null, service = other) {
  const going = new AbortController();
  const followed = await service.followContext(AUTH_TOKEN_HOLDER, contextId, {
    gone: going.signal,
    reader,
  });
  const got: ContextNews[] = [];
  const reading = (async () => {
    for await (const news of followed.news) got.push(news);
  })();
  const told = () => got.filter((news) => !('isDelivered' in news && news.isDelivered)).map(nameOf);
  return {
    got,
    told,
    /** Resolves with the names of all news that the reader had not acknowledged, once the last of them is `last`. */
    untilTold: async (last: string) => {
      await until(`it is told: ${last}`, async () => (told().at(-1) === last ? true : undefined));
      return told();
    },
    /** Acknowledges the news with this name, and all before. Resolves once that is recorded. */
    acknowledge: async (name: string) => {
      const news = got.find((each) => nameOf(each) === name);
      if (!news || !('offset' in news)) throw new Error(`It was not told: ${name}.`);
      followed.reached(news.offset);
      const { position, seq } = news.offset;
      await until('it is recorded', async () =>
        (await offsets(contextId)).some((row) => row.position === position && row.seq === seq)
          ? true
          : undefined,
      );
    },
    reached: followed.reached,
    go: async () => {
      going.abort();
      await reading;
    },
  };
}

function nameOf(news: ContextNews): string {
  if (news.type === 'output') return 'text' in news.item.output ? news.item.output.text : 'other';
  return news.type === 'begun' ? `begun ${news.code}` : news.type;
}

const offsets = (contextId: string) => db.sql<ContextOffset[]>`
  SELECT position, seq FROM context_readers WHERE context_id = ${contextId}`;

/** Returns the id of a context in which a cell runs. Its reader has acknowledged that the cell began, and has left. */
async function leftWhileACellRuns(): Promise<string> {
  const id = await opened();
  workers.hold();
  await submit(HOLD);
  const first = await follow(id, 'reader', one);
  await first.untilTold('begun hold');
  await first.acknowledge('begun hold');
  await first.go();
  return id;
}

const WHOLE_CELL = (code: string) => [`begun ${code}`, code, 'ended'];

describe('A reader', () => {
  it('that is new gets the running cell, and no cell that has ended', async () => {
    const id = await opened();
    await run('say before');
    workers.hold();
    await submit(HOLD);
    const reader = await follow(id, 'new');
    await reader.untilTold('begun hold');
    workers.letGo();
    await run('say after');
    expect(await reader.untilTold('ended')).toContain('begun hold');
    await until('all is told', async () => (reader.told().length === 5 ? true : undefined));
    expect(reader.told()).toEqual(['begun hold', 'ended', ...WHOLE_CELL('say after')]);
    await reader.go();
  });

  it('that has acknowledged nothing gets all news again, even at the other gateway', async () => {
    const id = await opened();
    const first = await follow(id, 'silent', one);
    await run('say once');
    expect(await first.untilTold('ended')).toEqual(WHOLE_CELL('say once'));
    await first.go();
    const second = await follow(id, 'silent');
    expect(await second.untilTold('ended')).toEqual(WHOLE_CELL('say once'));
    expect(second.got.map((news) => 'offset' in news && news.offset)).toEqual(
      first.got.map((news) => 'offset' in news && news.offset),
    );
    await second.go();
  });

  it.each([
    ['begun say a', ['say a', 'ended', ...WHOLE_CELL('say b')]],
    ['say a', ['ended', ...WHOLE_CELL('say b')]],
    ['ended', WHOLE_CELL('say b')],
  ])('that has acknowledged "%s" gets the news after it', async (last, rest) => {
    const id = await opened();
    const first = await follow(id, 'reader', one);
    await run('say a');
    await first.untilTold('ended');
    await first.acknowledge(last);
    await first.go();
    await run('say b');
    const second = await follow(id, 'reader');
    await until('all is told', async () =>
      second.told().length === rest.length ? true : undefined,
    );
    expect(second.told()).toEqual(rest);
    // Acknowledged news comes again, marked as delivered, if later news of the same execution follows.
    const again = second.got
      .filter((news) => 'isDelivered' in news && news.isDelivered)
      .map(nameOf);
    expect([...again, ...rest]).toEqual(
      last === 'ended' ? rest : [...WHOLE_CELL('say a'), ...WHOLE_CELL('say b')],
    );
    await second.go();
  });

  it('gets the end of a cell that was cancelled in the queue, in the order of acceptance', async () => {
    const id = await leftWhileACellRuns();
    const cancelled = await submit('say never');
    await submit('say last');
    await one.interrupt(AUTH_TOKEN_HOLDER, cancelled.id);
    const second = await follow(id, 'reader');
    expect(second.told()).toEqual([]);
    workers.letGo();
    await until('all is told', async () => (second.told().length === 5 ? true : undefined));
    expect(second.told()).toEqual(['ended', 'ended', ...WHOLE_CELL('say last')]);
    const ends = second.got.filter(({ type }) => type === 'ended');
    expect(ends.map((news) => 'execution' in news && news.execution.status)).toEqual([
      'OK',
      'CANCELLED',
      'OK',
    ]);
    await second.go();
  });

  it('gets the end of its cell if the kernel was restarted meanwhile', async () => {
    const id = await leftWhileACellRuns();
    await one.restartKernel(AUTH_TOKEN_HOLDER, userUuid());
    workers.letGo();
    const second = await follow(id, 'reader');
    expect(await second.untilTold('ended')).toEqual(['ended']);
    await second.go();
  });

  it('keeps its offset, even if an older connection later acknowledges less', async () => {
    const id = await opened();
    const [older, newer] = [await follow(id, 'reader', one), await follow(id, 'reader')];
    await run('say a');
    await newer.untilTold('ended');
    await newer.acknowledge('ended');
    const [begun] = older.got;
    if (begun && 'offset' in begun) older.reached(begun.offset);
    await older.go();
    await newer.go();
    // A new connection at the same gateway waits until that gateway has recorded all acknowledgements.
    const again = await follow(id, 'reader', one);
    await run('say b');
    expect(await again.untilTold('ended')).toEqual(WHOLE_CELL('say b'));
    await again.go();
  });

  it('may have any name, and without a name it leaves no record', async () => {
    const id = await opened();
    for (const name of ['\u0000', 'a'.repeat(100), "'; --", '\ud800']) {
      const reader = await follow(id, name);
      await run('say a');
      await reader.untilTold('ended');
      await reader.acknowledge('ended');
      await reader.go();
    }
    expect(await offsets(id)).toHaveLength(4);
    const nobody = await follow(id, null);
    await nobody.go();
    expect(await offsets(id)).toHaveLength(4);
  });
});

it('A followed session ends as idle only after its follower has left, but always at the end of its life', async () => {
  const open = async (more: { readonly maxLifeMs?: number } = {}) => {
    const asked = { userUuid: `${userUuid()} ${more.maxLifeMs}`, idleTimeoutMs: 2_500, ...more };
    await one.openSession(AUTH_TOKEN_HOLDER, asked);
    const session = await one.session(AUTH_TOKEN_HOLDER, asked.userUuid);
    return session?.id as SessionId;
  };
  const reasonOf = async (id: SessionId) => (await db.queries.session(id))?.closeReason ?? null;
  const [mortal, idle] = [await open({ maxLifeMs: 6_000 }), await open()];
  const [first, second] = [await follow(mortal, 'reader'), await follow(idle, null)];
  expect(await first.untilTold('gone')).toEqual(['gone']);
  expect(await reasonOf(mortal)).toBe('expired');
  expect(await reasonOf(idle)).toBeNull();
  await second.go();
  await until('it is idle', async () => ((await reasonOf(idle)) === null ? undefined : true));
  expect(await reasonOf(idle)).toBe('idle');
  await first.go();
});

describe('The recorded offsets of readers', () => {
  it('are kept for the latest 32 readers of a context', async () => {
    const id = await opened();
    for (let n = 0; n < 34; n += 1) await (await follow(id, `reader ${n}`)).go();
    expect(await offsets(id)).toHaveLength(32);
  });

  it('are deleted with the context or the session, and cannot be recorded again', async () => {
    const sessionId = await opened();
    const asked = { userUuid: userUuid() };
    const { id } = await one.createContext(AUTH_TOKEN_HOLDER, asked);
    const [inContext, inDefault] = [await follow(id, 'reader'), await follow(sessionId, 'reader')];
    await db.queries.deleteLeftOfSessions();
    expect([await offsets(id), await offsets(sessionId)].map((rows) => rows.length)).toEqual([
      1, 1,
    ]);
    await one.deleteContext(AUTH_TOKEN_HOLDER, userUuid(), id);
    await db.queries.deleteLeftOfSessions();
    expect(await offsets(id)).toEqual([]);
    await expect(follow(id, 'reader')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await one.release(AUTH_TOKEN_HOLDER, userUuid());
    await db.queries.deleteLeftOfSessions();
    const late = { sessionId, contextId: sessionId, reader: 'late', position: 1, seq: 1 };
    await db.queries.recordReaders([late]);
    expect(await offsets(sessionId)).toEqual([]);
    await inContext.go();
    await inDefault.go();
  });
});

it('contextExecutions() lists the latest ended executions, up to a number and a total length of code', async () => {
  const contextId = await opened();
  for (const code of ['say 1', 'say 22', 'say 3']) await run(code);
  workers.hold();
  await submit(HOLD);
  const session = await one.session(AUTH_TOKEN_HOLDER, userUuid());
  if (session === null) throw new Error('There is no open session.');
  const codes = async (from: number | null, count: number, codeBytes: number) => {
    const maxEnded = { count, codeBytes };
    const found = await db.queries.contextExecutions({ session, contextId, from, maxEnded });
    return found.map(({ code }) => code);
  };
  expect(await codes(null, 9, 99)).toEqual([HOLD]);
  expect(await codes(0, 9, 99)).toEqual(['say 1', 'say 22', 'say 3', HOLD]);
  expect(await codes(0, 2, 99)).toEqual(['say 22', 'say 3', HOLD]);
  expect(await codes(0, 9, 11)).toEqual(['say 22', 'say 3', HOLD]);
  expect(await codes(0, 9, 10)).toEqual(['say 3', HOLD]);
  const [second] = await db.queries.contextExecutions({
    session,
    contextId,
    from: 0,
    maxEnded: { count: 2, codeBytes: 99 },
  });
  expect(await codes(second?.position ?? 0, 9, 99)).toEqual(['say 22', 'say 3', HOLD]);
  workers.letGo();
});
