/** Lists of sessions: their order, and what they can be filtered by. On a real database. */
import { beforeAll, expect, it } from 'vitest';
import { NO_OPTIONS } from '../../src/domain/session.ts';
import type { SessionFilter } from '../../src/service/lists/lists.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';
import { commitOne, onSession, sessionOpened } from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport } from '../support/transportServer.ts';

const db = await useDatabase();
const gateway = await db.open();
const service = databaseService(gateway);

/** Users in the order in which their sessions were opened. */
const USERS = ['a:1', 'a:2', 'b:1', 'a:3', 'a:4'] as const;
const CLOSED = 'a:2';
const WITH_ENVIRONMENT = 'a:3';

beforeAll(async () => {
  for (const [n, userUuid] of USERS.entries()) {
    const environment = userUuid === WITH_ENVIRONMENT ? 'science' : null;
    const options = { ...NO_OPTIONS, metadata: { n: String(n % 2) }, environment };
    const at = timeOf(n).toISOString();
    const { environment: _, ...plain } = options;
    const recorded = environment === null ? plain : { ...plain, environment };
    const session = await commitOne<'session'>(
      gateway.store,
      sessionOpened({ userUuid, at, options: recorded }),
    );
    if (userUuid !== CLOSED) continue;
    const closed = { type: 'SessionClosed', data: { at, reason: 'released' } } as const;
    await commitOne(gateway.store, onSession(session, closed));
  }
});

/** When the session of the user with this number was opened. */
function timeOf(n: number): Date {
  return new Date(Date.UTC(2026, 0, 1, n));
}

/** The users of the whole list, read page by page. */
async function listed(filter: SessionFilter, principal: Principal = AUTH_TOKEN_HOLDER) {
  const users: string[] = [];
  let after: string | null = null;
  for (;;) {
    const { edges, hasNextPage } = await service.sessions(principal, filter, { first: 2, after });
    users.push(...edges.map(({ item }) => item.userUuid));
    if (!hasNextPage) return users;
    after = edges.at(-1)?.cursor ?? null;
  }
}

it('sessions are listed newest first, or oldest first, each once', async () => {
  expect(await listed({})).toEqual(USERS.toReversed());
  expect(await listed({ oldestFirst: false })).toEqual(USERS.toReversed());
  expect(await listed({ oldestFirst: true })).toEqual(USERS);
});

it.each<[string, SessionFilter, readonly string[]]>([
  ['some users', { users: { prefix: 'a:' } }, ['a:1', 'a:2', 'a:3', 'a:4']],
  ['one user', { users: { uuid: 'b:1' } }, ['b:1']],
  ['open ones of some users', { users: { prefix: 'a:' }, isOpen: true }, ['a:1', 'a:3', 'a:4']],
  ['closed ones', { isOpen: false }, ['a:2']],
  ['the time at which they were opened', { from: timeOf(2) }, ['b:1', 'a:3', 'a:4']],
  ['a time just after it', { from: new Date(timeOf(2).getTime() + 1) }, ['a:3', 'a:4']],
  ['an environment', { environment: { name: 'science' } }, ['a:3']],
  ['no environment', { environment: { name: null } }, ['a:1', 'a:2', 'b:1', 'a:4']],
  ['an environment that nobody has', { environment: { name: 'nothing' } }, []],
  [
    'all of these',
    { users: { prefix: 'a:' }, from: timeOf(1), metadata: { n: '1' } },
    ['a:2', 'a:3'],
  ],
])('sessions are filtered by %s', async (_what, filter, users) => {
  expect(await listed({ ...filter, oldestFirst: true })).toEqual(users);
  expect(await listed(filter)).toEqual(users.toReversed());
});

it('a token for some users sees only sessions of these users that the filter also selects', async () => {
  const role = 'USER' as const;
  const forB: Principal = { ...AUTH_TOKEN_HOLDER, role, users: { prefix: 'b:' } };
  expect(await listed({}, forB)).toEqual(['b:1']);
  expect(await listed({ users: { prefix: 'b:1' } }, forB)).toEqual(['b:1']);
  expect(await listed({ users: { prefix: '' } }, forB)).toEqual(['b:1']);
  expect(await listed({ users: { prefix: 'a:' } }, forB)).toEqual([]);
});

it('GraphQL has the arguments for the order and the time', async () => {
  const { data, errors } = await (await startTransport(service)).query(
    `{ sessions(oldestFirst: true, from: "${timeOf(1).toISOString()}") { edges { node { userUuid } } } }`,
  );
  expect(errors).toBeUndefined();
  const nodes = USERS.slice(1).map((userUuid) => ({ node: { userUuid } }));
  expect(data).toEqual({ sessions: { edges: nodes } });
});
