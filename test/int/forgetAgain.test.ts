/** `cellhouse forget` together with `cellhouse prune`, and repeated after it was killed. */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { type Quota, type QuotaEvent, quotaIdOf } from '../../src/domain/quota.ts';
import { forgetHistory } from '../../src/events/retention/forget.ts';
import { pruneHistory } from '../../src/events/retention/pruneHistory.ts';
import { LOCK_CLASS } from '../../src/events/store/advisoryLocks.ts';
import { newId } from '../../src/process/newId.ts';
import { endOwner, untilEnded } from '../../src/service/forget.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
} from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { cutAfter } from '../support/databaseProxy.ts';
import {
  type Forgettables,
  newMark,
  searchEverywhere,
  useForgettables,
} from '../support/forgettable.ts';

let all: Forgettables;
beforeEach(async () => {
  all = await useForgettables(onTestFinished);
});

it('forget works on pruned history, and prune on forgotten history', async () => {
  const { ann, bob, db, run, forgetAnn, expectIntact } = all;
  await pruneHistory(db.address, { before: new Date(), archive: null, newId });
  await forgetAnn();
  expect(await searchEverywhere(db, ann.marks)).toEqual([]);
  await pruneHistory(db.address, { before: new Date(), archive: null, newId });
  await run('--tenant', ann.tenant);
  expect(await searchEverywhere(db, [ann.tenant, ...bob.marks])).toEqual([]);
  await expectIntact();
});

it('forget leaves one gap in place of output, which a later prune keeps as it is', async () => {
  const { ann, db, forgetAnn } = all;
  const outputs = () => db.sql`
    SELECT kind, body FROM output_events WHERE execution_id = ${ann.executionId} ORDER BY seq`;
  const before = await outputs();
  expect(before.length).toBeGreaterThan(3);
  await forgetAnn();
  const gap = { kind: 'gap', reason: 'forgotten', droppedBytes: expect.any(Number) };
  const left = await outputs();
  expect(left).toMatchObject([{ kind: 'gap', body: gap }, { kind: 'finish' }]);
  expect(left[0]?.body.droppedBytes).toBeGreaterThan(100);
  await pruneHistory(db.address, { before: new Date(), archive: null, newId });
  expect([...(await outputs())]).toEqual([...left]);
});

it('forget does not deadlock with a prune, which locks the same events in another order', async () => {
  const { db, gateway, expectIntact } = all;
  const owner = { tenant: newMark('tenant'), userUuid: newMark('user') };
  // By position, the events of `high` come first; by stream, they come last.
  const [low, high] = [newId<ExecutionId>(), newId<ExecutionId>()];
  for (const executionId of [high, low]) {
    const requested = executionRequested({ ...owner, executionId });
    const execution = await commitOne<'execution'>(gateway.store, requested);
    await commitOne(gateway.store, onExecution(execution, executionFinished()));
  }
  // Forces index scans, which PostgreSQL chooses for large tables.
  const [{ name } = { name: '' }] = await db.sql<
    { name: string }[]
  >`SELECT current_database() AS name`;
  for (const scan of ['enable_seqscan', 'enable_bitmapscan'])
    await db.sql`ALTER DATABASE ${db.sql(name)} SET ${db.sql(scan)} = off`;
  const waits = (command: string) =>
    until(`${command} to wait`, async () => {
      const [found] = await db.sql`
        SELECT FROM pg_stat_activity WHERE datname = current_database()
          AND application_name LIKE ${`cellhouse ${command}%`} AND wait_event_type = 'Lock'`;
      return found !== undefined;
    });
  const { both } = await db.sql.begin(async (transaction) => {
    // The transaction is idle until both commands wait for locks.
    await transaction`SET LOCAL idle_in_transaction_session_timeout = 0`;
    await transaction`
      SELECT FROM events WHERE stream_id = ${`execution-${high}`} AND version = 2 FOR UPDATE`;
    const forgetting = forgetHistory(db.address, { owner, newId });
    await waits('forget');
    const pruning = pruneHistory(db.address, { before: new Date(), archive: null, newId });
    await waits('prune');
    return { both: Promise.allSettled([forgetting, pruning]) };
  });
  expect(await both).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
  expect(await searchEverywhere(db, [owner.userUuid])).toEqual([]);
  await expectIntact();
});

it('a repeated forget completes, wherever the first one was killed', async () => {
  const { ann, bob, db, gateway, usage, expectIntact } = all;
  const before = await usage();
  const owner = { tenant: ann.tenant, userUuid: null };
  const deps = { database: gateway, now: () => new Date() };
  await endOwner(deps, owner);
  await untilEnded(deps, owner);
  let cuts = 0;
  for (let packets = 4; ; packets += 7) {
    const way = await cutAfter(db.address, packets);
    try {
      await forgetHistory(way.address, { owner, newId });
      break;
    } catch (error: unknown) {
      if (!way.isCut) throw error;
      expect(error).toMatchObject({
        message: expect.stringContaining('connection to it was lost'),
      });
      cuts += 1;
    } finally {
      await way.close();
    }
  }
  expect(cuts).toBeGreaterThan(10);
  expect(await searchEverywhere(db, [...ann.marks, ...bob.marks, ann.tenant])).toEqual([]);
  expect(await usage()).toEqual(before);
  await expectIntact();
});

it('forget keeps an execution that was accepted meanwhile, and its key, and reports that it must be repeated', async () => {
  const { ann, db, gateway } = all;
  const { tenant, userUuid } = ann;
  const requested = executionRequested({ tenant, userUuid, idempotencyKey: 'new' });
  const executionId = requested.id as ExecutionId;
  await commitOne(gateway.store, requested, {
    idempotency: {
      ...{ tenant, userUuid, key: 'new', requestHash: 'h', executionId },
    },
  });
  const forgetting = forgetHistory(db.address, { owner: { tenant, userUuid }, newId });
  await expect(forgetting).rejects.toThrow('There is something new in executions');
  const keys = await db.sql`
    SELECT key FROM idempotency_keys WHERE tenant = ${tenant} AND user_uuid = ${userUuid}`;
  expect([...keys]).toEqual([{ key: 'new' }]);
  expect(await gateway.queries.execution(executionId)).toMatchObject({ tenant, userUuid });
});

it('forget empties no event that was recorded while it waited for a row: the audit chain would not account for that', async () => {
  const { db, gateway, expectIntact } = all;
  const owner = { tenant: newMark('tenant'), userUuid: newMark('user') };
  const quotaId = quotaIdOf(owner.tenant, owner.userUuid, 'OPEN_SESSIONS');
  const setTo = (limit: number, state: Quota | null) => {
    const data = { at: new Date().toISOString(), quotaId, ...owner, kind: 'OPEN_SESSIONS', limit };
    const events = [{ type: 'QuotaSet', data }] as unknown as readonly QuotaEvent[];
    return commitOne<'quota'>(gateway.store, { stream: 'quota', id: quotaId, state, events });
  };
  const quota = await setTo(1, null);
  const waiting = (name: string, type: string) =>
    until(`${name} to wait`, async () => {
      const [found] = await db.sql`
        SELECT FROM pg_stat_activity WHERE datname = current_database()
          AND application_name LIKE ${`cellhouse ${name}%`} AND wait_event = ${type}`;
      return found !== undefined;
    });
  const { setting, forgetting } = await db.sql.begin(async (transaction) => {
    await transaction`SET LOCAL idle_in_transaction_session_timeout = 0`;
    // Holds the append lock, for which the commit waits after it has changed its row.
    await transaction`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, 2)`;
    const setting = setTo(2, quota);
    await waiting('commits', 'advisory');
    const forgetting = forgetHistory(db.address, { owner, newId });
    forgetting.catch(() => undefined);
    await waiting('forget', 'transactionid');
    return { setting, forgetting: () => forgetting };
  });
  await setting;
  await expect(forgetting()).rejects.toThrow('There is something new in quotas');
  await forgetHistory(db.address, { owner, newId });
  expect(await searchEverywhere(db, [owner.userUuid])).toEqual([]);
  await expectIntact();
});
