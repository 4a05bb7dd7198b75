/**
 * Lists over GraphQL on a real database: filters, pages that miss and repeat nothing, and one read for each kind of
 * row.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onSession,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport } from '../support/transportServer.ts';

const USERS = 3;
const EXECUTIONS_EACH = 8;

const db = await useDatabase();
const gateway = await db.open();
/** The names of the queries that were made. */
let asked: string[];
beforeAll(async () => {
  for (let user = 0; user < USERS; user += 1) await live(user);
});

async function live(user: number): Promise<void> {
  const { store } = gateway;
  const userUuid = `user-${user}`;
  const requested = await commitOne<'worker'>(store, workerRequested());
  const worker = await commitOne<'worker'>(store, onWorker(requested, ...becomesIdle()));
  const session = await commitOne<'session'>(
    store,
    sessionOpened({ userUuid, workerId: worker.id }),
  );
  for (let n = 0; n < EXECUTIONS_EACH; n += 1) {
    const at = new Date(Date.UTC(2026, 0, 1 + n)).toISOString();
    const append = executionRequested({
      userUuid,
      sessionId: session.id,
      workerId: worker.id,
      code: `${user}.${n}`,
      at,
    });
    const execution = await commitOne<'execution'>(store, append);
    if (n % 2 === 0) await finish(execution.id, onExecution(execution, executionFinished({ at })));
  }
  const at = new Date().toISOString();
  if (user === 0)
    await commitOne(
      store,
      onSession(session, { type: 'SessionClosed', data: { at, reason: 'released' } }),
    );
}

async function finish(executionId: ExecutionId, end: ReturnType<typeof onExecution>) {
  const at = new Date();
  await gateway.store.commit({
    streams: [end],
    outputs: [
      { executionId, seq: 1, at, output: { kind: 'stream', name: 'stdout', text: executionId } },
      { executionId, seq: 2, at, output: { kind: 'finish' } },
    ],
  });
}

async function ask(query: string) {
  asked = [];
  const queries = new Proxy(gateway.queries, {
    get: (target, name) => {
      asked.push(String(name));
      return Reflect.get(target, name);
    },
  });
  const service = databaseService({ ...gateway, queries });
  return await (await startTransport(service)).query(query);
}

interface Page {
  readonly edges: { readonly cursor: string; readonly node: Record<string, unknown> }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

async function pageOf(field: string, node: string): Promise<Page> {
  const { data, errors } = await ask(
    `{ page: ${field} { edges { cursor node { ${node} } } pageInfo { hasNextPage endCursor } } }`,
  );
  expect(errors).toBeUndefined();
  return data?.page as Page;
}

/** Reads the whole list, page by page. */
async function all(field: string, args: string, node: string, first: number): Promise<unknown[]> {
  const nodes: unknown[] = [];
  let after = '';
  for (;;) {
    const page = await pageOf(`${field}(first: ${first} ${after} ${args})`, node);
    nodes.push(...page.edges.map((edge) => edge.node));
    expect(page.pageInfo.endCursor).toBe(page.edges.at(-1)?.cursor ?? null);
    if (!page.pageInfo.hasNextPage) return nodes;
    after = `after: "${page.pageInfo.endCursor}"`;
  }
}

describe('executions', () => {
  it.each([1, 5, 100])('are given newest first, each once, in pages of %i', async (first) => {
    const codes = (await all('executions', '', 'code', first)) as { code: string }[];
    const expected = [2, 1, 0].flatMap((user) =>
      [7, 6, 5, 4, 3, 2, 1, 0].map((n) => ({ code: `${user}.${n}` })),
    );
    expect(codes).toEqual(expected);
  });

  it.each([
    ['userUuid: "user-1"', 8],
    ['statuses: [OK]', 12],
    ['userUuid: "user-1" statuses: [QUEUED]', 4],
    ['from: "2026-01-03T00:00:00Z"', 18],
    ['to: "2026-01-03T00:00:00Z"', 6],
    ['from: "2026-01-03T01:00:00+01:00" to: "2026-01-04T00:00:00Z"', 3],
    ['userUuid: "nobody"', 0],
  ])('are filtered by %s', async (filter, count) => {
    expect(await all('executions', filter, 'id', 7)).toHaveLength(count);
  });

  it('are paged without gaps while new ones come', async () => {
    const cursor = (await pageOf('executions(first: 2)', 'id')).pageInfo.endCursor;
    await commitOne(gateway.store, executionRequested({ userUuid: 'late', code: 'late' }));
    const next = await ask(
      `{ executions(first: 1 after: "${cursor}") { edges { node { code } } } }`,
    );
    expect(next.data).toEqual({ executions: { edges: [{ node: { code: '2.5' } }] } });
  });
});

describe('other lists', () => {
  it('give sessions by user and whether they are open', async () => {
    const users = async (filter: string) =>
      (await all('sessions', filter, 'userUuid', 2)).map(
        (node) => (node as { userUuid: string }).userUuid,
      );
    expect(await users('')).toEqual(['user-2', 'user-1', 'user-0']);
    expect(await users('isOpen: true')).toEqual(['user-2', 'user-1']);
    expect(await users('isOpen: false')).toEqual(['user-0']);
    expect(await users('userUuid: "user-1"')).toEqual(['user-1']);
  });

  it('give workers by state', async () => {
    expect(await all('workers', '', 'id state', 2)).toHaveLength(USERS);
    expect(await all('workers', 'states: [IDLE, ASSIGNED]', 'id', 2)).toHaveLength(USERS);
    expect(await all('workers', 'states: [LOST]', 'id', 2)).toHaveLength(0);
  });

  it('give events in the order recorded, by type', async () => {
    const positions = (await all('events', '', 'position', 10)).map(
      (node) => (node as { position: number }).position,
    );
    expect(positions).toEqual(positions.map((_, index) => index + 1));
    const types = await all('events', 'types: [SessionOpened, SessionClosed]', 'type', 2);
    expect(types).toHaveLength(USERS + 1);
  });
});

describe('a list with all its related rows', () => {
  it('takes one read for each kind of row, however long the list is', async () => {
    const { edges } = await pageOf(
      'executions(first: 24 to: "2026-02-01T00:00:00Z")',
      'code via stdout resultText session { userUuid lastActiveAt worker { name } }',
    );
    expect(edges).toHaveLength(24);
    expect(asked.toSorted()).toEqual([
      'codes',
      'doors',
      'executionPage',
      'lastActivity',
      'outputPages',
      'sessions',
      'workers',
    ]);
  });

  it('takes one read for all pages of outputs, whatever their arguments', async () => {
    const { edges } = await pageOf(
      'executions(first: 24 statuses: [OK] to: "2026-02-01T00:00:00Z")',
      'id all: outputs { text: seq } one: outputs(first: 1) { seq } none: outputs(after: 1, first: 5) { seq }',
    );
    expect(edges.map(({ node }) => ({ ...node, id: undefined }))).toEqual(
      Array.from({ length: 12 }, () => ({ all: [{ text: 1 }], one: [{ seq: 1 }], none: [] })),
    );
    expect(asked).toEqual(['executionPage', 'outputPages']);
  });
});

describe('nested lists', () => {
  interface Linked {
    readonly id: string;
    readonly userUuid: string;
    readonly executions: Page;
  }
  const linked = async (args: string, node = 'code status') =>
    (await all(
      'sessions',
      '',
      `id userUuid executions(${args}) { edges { cursor node { ${node} } } pageInfo { hasNextPage endCursor } }`,
      10,
    )) as Linked[];

  it('are read with one query for the executions of all sessions', async () => {
    const sessions = await linked('first: 3');
    expect(asked).toEqual(['sessionPage', 'executionPages', 'codes']);
    expect(
      sessions.map(({ userUuid, executions: { edges, pageInfo } }) => [
        userUuid,
        edges.map(({ node }) => node.code),
        pageInfo.hasNextPage,
      ]),
    ).toEqual([2, 1, 0].map((n) => [`user-${n}`, [`${n}.7`, `${n}.6`, `${n}.5`], true]));
  });

  it('are filtered and paged like the list of all executions', async () => {
    for (const { executions } of await linked('statuses: [OK] language: PYTHON first: 100')) {
      expect(executions.edges).toHaveLength(4);
      expect(executions.edges.map(({ node }) => node.status)).toEqual(Array(4).fill('OK'));
    }
    for (const { executions } of await linked('language: BASH'))
      expect(executions.edges).toEqual([]);
    const [first] = await linked('first: 3');
    const { data } = await ask(
      `{ session(id: "${first?.id}") { executions(first: 2, after: "${first?.executions.pageInfo.endCursor}") { edges { node { code } } } } }`,
    );
    expect(data).toEqual({
      session: {
        executions: { edges: [{ node: { code: '2.4' } }, { node: { code: '2.3' } }] },
      },
    });
  });

  it('are found by the id of a session, or of its context', async () => {
    const [{ id = '' } = {}] = await linked('first: 1');
    const found = { userUuid: 'user-2' };
    const { data, errors } = await ask(`{
      session(id: "${id}") { contexts { id session { id } executions(first: 1) { edges { node { code } } } } }
      context(id: "${id}") { isDefault session { userUuid } }
      bySession: executions(sessionId: "${id}") { edges { node { code } } }
      byContext: executions(contextId: "${id}", statuses: [OK, QUEUED]) { edges { node { code } } }
      none: executions(sessionId: "no id") { edges { node { code } } } }`);
    expect(errors).toBeUndefined();
    const eight = { edges: [7, 6, 5, 4, 3, 2, 1, 0].map((n) => ({ node: { code: `2.${n}` } })) };
    expect(data).toEqual({
      session: {
        contexts: [{ id, session: { id }, executions: { edges: [{ node: { code: '2.7' } }] } }],
      },
      context: { isDefault: true, session: found },
      bySession: eight,
      byContext: eight,
      none: { edges: [] },
    });
  });

  it('include the events of executions, sessions and workers', async () => {
    const { data, errors } = await ask(`{ executions(userUuid: "user-2", first: 2) { edges { node {
      code codeUnavailable events { edges { node { type } } }
      session { events { edges { node { type } } } worker { events(first: 1) { edges { node { type } } } } } } } } }`);
    expect(errors).toBeUndefined();
    expect(JSON.stringify(data)).toContain('{"node":{"type":"ExecutionRequested"}}');
    expect(JSON.stringify(data)).toContain('{"edges":[{"node":{"type":"SessionOpened"}}]}');
    expect(JSON.stringify(data)).toContain('{"edges":[{"node":{"type":"WorkerRequested"}}]}');
  });

  it('are at most 100 lists of events in one answer', async () => {
    const many = Array.from(
      { length: 5 },
      (_, n) => `e${n}: events(first: 1) { edges { cursor } }`,
    );
    const { errors } = await ask(
      `{ executions(first: 24) { edges { node { ${many.join(' ')} } } } }`,
    );
    expect(errors?.[0]).toMatchObject({
      extensions: { code: 'BAD_USER_INPUT', field: 'first', limit: 100 },
    });
  });
});

it('viewer has the tenant of the token', async () => {
  expect((await ask('{ viewer { tenant } }')).data).toEqual({ viewer: { tenant: 'default' } });
});

describe('bad pages', () => {
  it.each([
    ['executions(first: 0)', 'first is 0, but must be from 1 to 1000'],
    ['sessions(first: 1001)', 'first is 1001'],
    ['executions(after: "x")', 'after must be a cursor of an earlier page, not "x"'],
    ['sessions(after: "7")', 'after must be a cursor of an earlier page, not "7"'],
    ['events(after: "-1")', 'after must be a cursor'],
    ['executions(userUuid: "")', 'userUuid must not be empty'],
  ])('%s is refused', async (field, message) => {
    const { errors } = await ask(`{ ${field} { pageInfo { endCursor } } }`);
    expect(errors).toMatchObject([
      { message: expect.stringContaining(message), extensions: { code: 'BAD_USER_INPUT' } },
    ]);
  });

  it('have no items after an id that does not exist', async () => {
    const { data } = await ask(`{ sessions(after: "${newId()}") { pageInfo { hasNextPage } } }`);
    expect(data).toEqual({ sessions: { pageInfo: { hasNextPage: false } } });
  });
});
