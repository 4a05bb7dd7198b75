/** Quotas in the commits of three gateways on one database. */

import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ContextId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import { type CountedKind, QUOTA_SCOPES, type QuotaError } from '../../src/domain/quota.ts';
import type { Commit, EventStore, StreamAppend } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { inOneMinute } from '../support/inOneMinute.ts';
import { fc } from '../support/seeded.ts';

const MAX_COMMANDS = 2;
const USER = 'user-1';

const db = await useDatabase();
const gateways = [await db.open(), await db.open(), await db.open()];
const [{ store }] = gateways as [(typeof gateways)[number]];
let tenants = 0;
const newTenant = () => `tenant-${++tenants}`;

type Limits = Partial<Record<CountedKind, number>>;

/** A commit under these limits of its tenant, or of {@link USER}. */
function under(append: StreamAppend, tenant: string, limits: Limits, isOfUser = false): Commit {
  const of = [{ tenant, userUuid: isOfUser ? USER : null, limits }];
  return { streams: [append], quotas: { of, maxCommands: MAX_COMMANDS } };
}

/** A request in a lane that is idle, unless `over` names a session. */
const request = (tenant: string, over: Parameters<typeof executionRequested>[0] = {}) =>
  executionRequested({ tenant, ...over });

function all(commits: readonly Commit[]) {
  return Promise.allSettled(commits.map((commit, index) => storeOf(index).commit(commit)));
}

function storeOf(index: number): EventStore {
  return (gateways[index % gateways.length] ?? gateways[0] ?? { store }).store;
}

const reasonOf = async (commit: Commit) =>
  (await store.commit(commit).then(
    () => expect.fail('The commit was not refused.'),
    (error: unknown) => error,
  )) as QuotaError;

async function count(table: 'events' | 'executions' | 'sessions'): Promise<number> {
  const [row] = await db.sql<
    { count: number }[]
  >`SELECT count(*)::int AS count FROM ${db.sql(table)}`;
  return row?.count ?? 0;
}

const lane = () => ({ sessionId: newId<SessionId>(), workerId: newId<WorkerId>() });

/** For each kind, the request that raises its count by one. `busy` is a lane in which an execution runs already. */
const ADDS: Readonly<
  Record<CountedKind, (tenant: string, busy: ReturnType<typeof lane>) => StreamAppend>
> = {
  OPEN_SESSIONS: (tenant) => sessionOpened({ tenant, userUuid: newId() }),
  RUNNING_EXECUTIONS: (tenant) => request(tenant),
  QUEUED_EXECUTIONS: (tenant, busy) => request(tenant, busy),
  EXECUTIONS_PER_MINUTE: (tenant) => request(tenant),
};
const KINDS = Object.keys(ADDS) as CountedKind[];

describe.each(KINDS)('%s', (kind) => {
  // A user has at most one open session, so a higher limit of open sessions cannot be reached.
  const scopes = QUOTA_SCOPES.filter((scope) => scope === 'TENANT' || kind !== 'OPEN_SESSIONS');

  it.each(scopes)(
    'of 40 simultaneous commits of three gateways, as many succeed as the quota of the %s allows',
    async (scope) => {
      const [tenant, busy, limit] = [newTenant(), lane(), 7];
      const isOfUser = scope === 'USER';
      await commitOne(store, request(tenant, busy));
      const before = { events: await count('events'), executions: await count('executions') };
      const commits = Array.from({ length: 40 }, () =>
        under(ADDS[kind](tenant, busy), tenant, { [kind]: limit }, isOfUser),
      );
      const outcomes = await all(commits);
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      // The execution in the busy lane counts as running, and as one of this minute.
      const free =
        limit - (kind === 'RUNNING_EXECUTIONS' || kind === 'EXECUTIONS_PER_MINUTE' ? 1 : 0);
      expect(outcomes.length - refused.length).toBe(free);
      for (const { reason } of refused) {
        expect(reason).toMatchObject({
          code: 'QUOTA_EXCEEDED',
          details: { quota: kind, scope, limit, used: limit },
        });
      }
      // Refused commits have left nothing.
      expect(await count('events')).toBe(before.events + free);
      if (kind !== 'OPEN_SESSIONS')
        expect(await count('executions')).toBe(before.executions + free);
    },
  );

  it("counts neither other tenants nor, for a user, the tenant's others", async () => {
    const [tenant, other, busy] = [newTenant(), newTenant(), lane()];
    const limits = { [kind]: 1 };
    if (kind === 'QUEUED_EXECUTIONS') await commitOne(store, request(other, busy));
    await store.commit(under(ADDS[kind](other, busy), other, limits));
    const mine = lane();
    if (kind === 'QUEUED_EXECUTIONS') await commitOne(store, request(tenant, mine));
    await store.commit(under(ADDS[kind](tenant, mine), tenant, limits));
    expect((await reasonOf(under(ADDS[kind](tenant, mine), tenant, limits))).details.used).toBe(1);
    if (kind === 'OPEN_SESSIONS') return;
    const neighbour = { ...lane(), userUuid: 'neighbour' };
    if (kind === 'QUEUED_EXECUTIONS') await commitOne(store, request(tenant, neighbour));
    const commit = under(request(tenant, neighbour), tenant, {});
    await store.commit({
      ...commit,
      quotas: { of: [{ tenant, userUuid: 'neighbour', limits }], maxCommands: MAX_COMMANDS },
    });
  });
});

it('a session is refused to a user who may have none', async () => {
  const tenant = newTenant();
  const commit = under(sessionOpened({ tenant }), tenant, { OPEN_SESSIONS: 0 }, true);
  expect((await reasonOf(commit)).details).toMatchObject({ scope: 'USER', limit: 0, used: 0 });
});

it('a refused commit does not fail the others of its group', async () => {
  const [full, free] = [newTenant(), newTenant()];
  const outcomes = await Promise.allSettled(
    Array.from({ length: 64 }, (_, index) => {
      const tenant = index === 40 ? full : free;
      return store.commit(
        under(request(tenant), tenant, { RUNNING_EXECUTIONS: index === 40 ? 0 : 64 }),
      );
    }),
  );
  expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? index : []))).toEqual([
    40,
  ]);
});

it('a limit below the present count refuses only commits that raise the count', async () => {
  const [tenant, busy] = [newTenant(), lane()];
  for (let index = 0; index < 4; index += 1) await commitOne(store, request(tenant, busy));
  const limits = { QUEUED_EXECUTIONS: 1, RUNNING_EXECUTIONS: 5 };
  expect((await reasonOf(under(request(tenant, busy), tenant, limits))).details).toMatchObject({
    quota: 'QUEUED_EXECUTIONS',
    used: 3,
  });
  await store.commit(under(request(tenant), tenant, limits));
});

describe('EXECUTIONS_PER_MINUTE', () => {
  const limits = { EXECUTIONS_PER_MINUTE: 2 };

  it('begins anew with each minute of the clock, and says when', async () => {
    const tenant = newTenant();
    const commit = () => under(request(tenant), tenant, limits);
    await inOneMinute();
    await store.commit(commit());
    await commitOne(storeOf(1), request(tenant));
    const { details } = await reasonOf(commit());
    const [{ now } = { now: 0 }] = await db.sql<{ now: number }[]>`
      SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now`;
    const until = new Date(String(details.until)).getTime();
    expect(until % 60_000).toBe(0);
    expect(until - now).toBeLessThanOrEqual(Number(details.retryAfterMs));
    expect(until - now).toBeGreaterThan(0);
    // Moves all events to the minute before.
    await db.sql`UPDATE events SET recorded_at = recorded_at - interval '1 minute'`;
    await store.commit(commit());
    await store.commit(commit());
    await reasonOf(commit());
  });

  it('finds the beginning of the minute among events many of which were pruned', async () => {
    const tenant = newTenant();
    for (let index = 0; index < 30; index += 1) await commitOne(store, request(newTenant()));
    await db.sql`UPDATE events SET recorded_at = recorded_at - interval '1 minute'`;
    await inOneMinute();
    const first = await store.lastPosition();
    for (let index = 0; index < 20; index += 1) await commitOne(store, request(newTenant()));
    await store.commit(under(request(tenant), tenant, limits));
    await db.sql`DELETE FROM events WHERE position < ${first + 18} AND position % 5 <> 1`;
    const [wrong] = await db.sql<{ count: number }[]>`
      WITH from_here AS (
        SELECT cellhouse_position_at(date_trunc('minute', clock_timestamp()), max(position)) AS position FROM events)
      SELECT count(*)::int AS count FROM events e, from_here f
      WHERE (e.position < f.position) <> (e.recorded_at < date_trunc('minute', clock_timestamp()))`;
    expect(wrong).toEqual({ count: 0 });
    await store.commit(under(request(tenant), tenant, limits));
    expect((await reasonOf(under(request(tenant), tenant, limits))).details.used).toBe(2);
  });
});

it('running and queued executions are counted as lanes run them, for arbitrary requests and ends', async () => {
  const sessions = [lane(), lane()];
  const contexts = [undefined, newId<ContextId>()];
  const places = sessions.flatMap((session) => [
    ...contexts.map((contextId) => ({ ...session, ...(contextId && { contextId }) })),
    { ...session, language: 'BASH' as const },
  ]);
  const step = fc.record({ place: fc.nat(places.length - 1), isEnd: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.nat(5),
      fc.nat(5),
      async (steps, running, queued) => {
        const tenant = newTenant();
        const limits = { RUNNING_EXECUTIONS: running, QUEUED_EXECUTIONS: queued };
        const unfinished = places.map((): Execution[] => []);
        for (const { place, isEnd } of steps) {
          const here = unfinished[place] ?? [];
          const first = isEnd ? here.shift() : undefined;
          if (first) await commitOne(store, onExecution(first, executionFinished()));
          if (isEnd) continue;
          const lengths = unfinished.map((each, index) => each.length + (index === place ? 1 : 0));
          const after = lengths.reduce(
            (sum, length, index) => {
              const runs = Math.min(
                length,
                places[index] && 'language' in places[index] ? MAX_COMMANDS : 1,
              );
              return { runs: sum.runs + runs, waits: sum.waits + length - runs };
            },
            { runs: 0, waits: 0 },
          );
          const commit = under(request(tenant, places[place] ?? {}), tenant, limits);
          if (after.runs > running && isRunning(here, places[place]))
            expect((await reasonOf(commit)).details.quota).toBe('RUNNING_EXECUTIONS');
          else if (after.waits > queued && !isRunning(here, places[place]))
            expect((await reasonOf(commit)).details.quota).toBe('QUEUED_EXECUTIONS');
          else here.push((await store.commit(commit)).states[0] as Execution);
        }
        await Promise.all(
          unfinished.flat().map((each) => commitOne(store, onExecution(each, executionFinished()))),
        );
      },
    ),
    { numRuns: 30 },
  );
});

/** Whether one more execution in this lane would run at once. */
function isRunning(here: readonly Execution[], place: object | undefined): boolean {
  return here.length < (place && 'language' in place ? MAX_COMMANDS : 1);
}
