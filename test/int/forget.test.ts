/**
 * `cellhouse forget`: afterwards nothing of a user or tenant can be found in the database, and the audit chain still
 * verifies.
 */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { type Ask, runForget } from '../../src/cli/forget.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import { commitOne, executionRequested, sessionOpened } from '../../testkit/events.ts';
import {
  type Forgettable,
  type Forgettables,
  searchEverywhere,
  useForgettables,
} from '../support/forgettable.ts';

let all: Forgettables;
beforeEach(async () => {
  all = await useForgettables(onTestFinished);
});

/**
 * Tables whose rows are deleted when their session or execution ends. Only PostgreSQL's statistics may still have the
 * values.
 */
const EMPTY_BY_THEN = ['execution_inputs', 'execution_variables', 'session_variables'];
/** Tables with ids, counts, times and texts of gateways. Nothing in them comes from users or names a user. */
const OF_NOBODY = [
  ...['accepted_ends', 'chain_days', 'chain_head', 'context_readers'],
  ...['environment_uses', 'environments'],
  'event_removals',
  ...['gateway_releases', 'leases'],
  ...['pools', 'pruned_streams', 'pseudonyms', 'refused_calls', 'removals', 'schema_versions'],
  ...['secrets', 'session_uses', 'sql_files', 'token_uses', 'workers'],
];

it('every table is covered: a new one must be forgotten, or be listed as one without data of users', async () => {
  const { ann, db } = all;
  const tables = await db.sql<{ name: string }[]>`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`;
  const found = await searchEverywhere(db, [...ann.marks, ann.tenant, ann.userUuid]);
  const ofUsers = found.filter((name) => name.startsWith('public.')).map((name) => name.slice(7));
  expect([...ofUsers, ...EMPTY_BY_THEN, ...OF_NOBODY].sort()).toEqual(
    tables.map(({ name }) => name).sort(),
  );
});

/** All rows and events of a user, as text. */
const rowsOf = async ({ db }: Forgettables, { tenant, userUuid }: Forgettable) => [
  ...(await db.sql`
    SELECT x::text AS row FROM executions x WHERE tenant = ${tenant} AND user_uuid = ${userUuid}
    UNION ALL SELECT s::text FROM sessions s WHERE tenant = ${tenant} AND user_uuid = ${userUuid}
    UNION ALL SELECT e::text FROM events e WHERE data ->> 'tenant' = ${tenant} AND data ->> 'userUuid' = ${userUuid}
    ORDER BY 1`),
];

it('forgetting a user leaves nothing of the user in any table or statistics, and keeps the usage under a pseudonym', async () => {
  const { ann, bob, other, db, forgetAnn, usage, expectIntact } = all;
  // Before the user is forgotten, the search finds every mark. Otherwise the test could not fail.
  for (const mark of ann.marks) expect(await searchEverywhere(db, [mark])).not.toEqual([]);
  expect(await searchEverywhere(db, ann.marks)).toEqual(
    expect.arrayContaining(['pg_stats', 'public.events', 'public.output_events']),
  );
  const [before, ofBob, ofOther] = [
    await usage(),
    await rowsOf(all, bob),
    await rowsOf(all, other),
  ];
  expect(ofBob.length).toBeGreaterThan(5);
  await forgetAnn();
  expect(await searchEverywhere(db, ann.marks)).toEqual([]);
  expect(await usage()).toEqual(before);
  expect(await rowsOf(all, bob)).toEqual(ofBob);
  expect(await rowsOf(all, other)).toEqual(ofOther);
  expect(
    await db.sql`SELECT FROM sessions WHERE tenant = ${ann.tenant} AND user_uuid = ${ann.userUuid}`,
  ).toEqual([]);
  const [named] = await db.sql`
    SELECT user_uuid, revoke_reason FROM tokens WHERE revoked_at IS NOT NULL`;
  expect(named).toEqual({
    userUuid: expect.stringMatching(/^forgotten-[0-9a-f]{16}$/),
    revokeReason: 'forgotten',
  });
  const users = await db.sql`
    SELECT DISTINCT user_uuid FROM executions WHERE tenant = ${ann.tenant} AND user_uuid LIKE 'forgotten-%'`;
  expect([...users]).toEqual([{ userUuid: named?.userUuid }]);
  await expectIntact();
  // A second after the session's end, a gateway stores its last counts of the hosts that code has reached.
  const [run] = await db.sql<{ sessionId: SessionId }[]>`
    SELECT session_id FROM executions WHERE id = ${ann.executionId}`;
  const late = { sessionId: run?.sessionId as SessionId, minute: new Date(), port: 1 };
  const counts = { outcome: 'allowed' as const, connections: 1, sentBytes: 1, receivedBytes: 1 };
  await db.queries.recordEgress(
    ['late.test', 'later.test'].map((host) => ({ ...late, ...counts, host })),
  );
  const hosts = await db.sql`
    SELECT DISTINCT host, port FROM egress_counts WHERE session_id = ${late.sessionId}`;
  expect([...hosts]).toEqual([{ host: '', port: 0 }]);
});

it('forgetting a tenant leaves nothing of it, not even its name, and touches nothing else', async () => {
  const { ann, bob, other, db, run, usage, expectIntact } = all;
  const marks = [...ann.marks, ...bob.marks, bob.userUuid, ann.tenant];
  expect(await searchEverywhere(db, [ann.tenant])).toContain('public.event_links');
  const [before, ofOther] = [await usage(), await rowsOf(all, other)];
  await run('--tenant', ann.tenant);
  expect(await searchEverywhere(db, marks)).toEqual([]);
  expect(await usage()).toEqual(before);
  expect(await rowsOf(all, other)).toEqual(ofOther);
  const links = await db.sql`
    SELECT count(*) AS count, max(number) AS last FROM event_links WHERE tenant LIKE 'forgotten-%' GROUP BY tenant`;
  expect(links).toHaveLength(1);
  expect(links[0]?.count).toBe(links[0]?.last);
  await expectIntact();
});

it('the command prints what it is about to forget, and forgets nothing until the name is typed or --yes is given', async () => {
  const { ann, bob, db } = all;
  const config = { logLevel: 'silent' } as const;
  const printed: string[] = [];
  const print = (line: string) => void printed.push(line);
  const forget = (ask: Ask | null, ...words: string[]) => {
    printed.length = 0;
    return runForget(words, { config, address: db.address, print, ask });
  };
  const ofTenant = ['--tenant', ann.tenant];
  await expect(forget(null, ...ofTenant)).rejects.toThrow(/^Nothing was forgotten. Confirm/);
  const [counts] = await db.sql`
    SELECT count(*) AS sessions, count(DISTINCT user_uuid) AS users FROM sessions WHERE tenant = ${ann.tenant}`;
  const [executions] = await db.sql`
    SELECT count(*) AS count, sum(output_bytes) AS bytes FROM executions WHERE tenant = ${ann.tenant}`;
  expect(printed).toEqual([
    expect.stringMatching(
      `all of its users .${counts?.users} had sessions.: ${counts?.sessions} s`,
    ),
  ]);
  expect(printed[0]).toContain(
    `${executions?.count} executions with ${executions?.bytes} bytes of output`,
  );
  const ofAnn = ['--user', ann.userUuid, ...ofTenant];
  const asked: string[] = [];
  const typing = (answer: string) => async (question: string) => {
    asked.push(...printed, question);
    return answer;
  };
  for (const wrong of ['', 'yes', ann.tenant])
    await expect(forget(typing(wrong), ...ofAnn)).rejects.toThrow('that is not the name');
  expect(await searchEverywhere(db, ann.marks)).not.toEqual([]);
  expect(await db.sql`SELECT FROM tokens WHERE revoked_at IS NOT NULL`).toEqual([]);
  asked.length = 0;
  await forget(typing(ann.userUuid), ...ofAnn);
  expect(asked).toEqual([
    expect.stringContaining(`the user "${ann.userUuid}" of the tenant "${ann.tenant}": `),
    expect.stringContaining(`"${ann.userUuid}"`),
  ]);
  expect(await searchEverywhere(db, ann.marks)).toEqual([]);
  expect(await searchEverywhere(db, bob.marks)).not.toEqual([]);
});

it('forgetting is recorded, and every other change of the remaining events is found', async () => {
  const { ann, db, forgetAnn } = all;
  await forgetAnn();
  const events = await db.sql`SELECT data, metadata FROM events WHERE type = 'DataForgotten'`;
  expect(events.length).toBeGreaterThan(3);
  expect(events[0]?.metadata.actor).toMatchObject({ token: 'cli' });
  const named = events.flatMap(({ data }) => data.executionIds ?? []);
  expect(named).toEqual([ann.executionId]);
  const removals = await db.sql`SELECT DISTINCT reason, pseudonym, before FROM removals`;
  const { pseudonym } = events[0]?.data ?? {};
  expect([...removals]).toEqual([{ reason: 'forgotten', pseudonym, before: null }]);
  await db.sql`
    UPDATE events SET data = data || '{"codeBytes": 7}'
    WHERE type = 'ExecutionRequested' AND data ->> 'userUuid' = ${pseudonym}`;
  const { findings } = await verifyChain(db.address, []);
  expect(findings).toEqual([
    expect.stringMatching(/^Event \d+ \(ExecutionRequested\) was changed/),
  ]);
});

it('the command refuses while an execution is unfinished and no gateway runs that could end it', async () => {
  const { ann, db, gateway, forgetAnn } = all;
  const { tenant, userUuid } = ann;
  await commitOne(gateway.store, sessionOpened({ tenant, userUuid }));
  await commitOne(gateway.store, executionRequested({ tenant, userUuid }));
  await expect(forgetAnn()).rejects.toThrow(/No gateway is running .*"executions":1/);
  expect(await searchEverywhere(db, ann.marks)).not.toEqual([]);
  expect(await gateway.queries.openSession(tenant, userUuid)).toBeNull();
});

it('the command fails if it finds nothing, because a name may be misspelt', async () => {
  const { ann, db, run, forgetAnn } = all;
  const { tenant, userUuid } = ann;
  for (const words of [
    ['--user', `${userUuid}x`, '--tenant', tenant],
    ['--user', userUuid],
    ['--tenant', `${tenant}x`],
  ])
    await expect(run(...words)).rejects.toThrow(/^Nothing was found of .*Check the names/);
  expect(await searchEverywhere(db, ann.marks)).toEqual(
    expect.arrayContaining(['public.events', 'public.output_events']),
  );
  expect(await forgetAnn()).toContain('No table has it any more.');
  await expect(forgetAnn()).rejects.toThrow(`the user "${userUuid}" of the tenant "${tenant}"`);
});
