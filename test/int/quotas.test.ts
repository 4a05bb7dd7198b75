/** Calls that a quota refuses, at two gateways on one database. The workers are programmed. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import { type Limits, type QuotaKind, quotaIdOf } from '../../src/domain/quota.ts';
import type { Database } from '../../src/events/database.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR, type Principal } from '../../src/service/principal.ts';
import { executionFinished, executionRequested, onExecution } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { inOneMinute } from '../support/inOneMinute.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { type ServingGateway, useServiceGateways } from '../support/serviceGateways.ts';

const { db, workers, start } = await useServiceGateways();
const DAY_MS = 86_400_000;
let tenants = 0;
const newPrincipal = (): Principal => ({ ...OPERATOR, tenant: `tenant-${++tenants}` });

/** Sets limits of the tenant, or of one of its users. Resolves when both gateways know them. */
async function limit(
  tenant: string,
  limits: Limits,
  userUuid: string | null = null,
): Promise<void> {
  for (const [kind, value] of Object.entries(limits) as [QuotaKind, number][]) {
    await one.service.setQuota(OPERATOR, { kind, tenant, userUuid, limit: value });
    await until('both to know it', async () => {
      const quotas = await other.service.quotas(OPERATOR, { tenant, userUuid });
      return quotas.find((each) => each.kind === kind)?.limit === value;
    });
  }
}

afterEach(() => workers.letGo());

let database: Database;
let one: ServingGateway;
let other: ServingGateway;

/** The details of the refusals, and how many calls were not refused. */
function outcomeOf(settled: readonly PromiseSettledResult<unknown>[]) {
  const refused = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  for (const reason of refused) expect(reason).toMatchObject({ code: 'QUOTA_EXCEEDED' });
  return {
    accepted: settled.length - refused.length,
    refused: refused.map(({ details }) => details),
  };
}

async function events(): Promise<number> {
  const [row] = await db.sql<{ count: number }[]>`
    SELECT count(*)::int AS count FROM events WHERE type IN ('SessionOpened', 'ExecutionRequested')`;
  return row?.count ?? 0;
}

// Must come first, because later tests leave workers that this test could get.
it('a refused call neither waits for a worker nor takes one', async () => {
  const settings = {
    QUOTA_USER_RUNNING_EXECUTIONS: '0',
    MIN_IDLE_WORKERS: '0',
    MAX_TOTAL_WORKERS: '1',
  };
  const limited = await start({ settings });
  const principal = newPrincipal();
  await limited.service.openSession(principal, { userUuid: 'with-the-worker' });
  const refused = limited.service.execute(principal, { userUuid: 'other', code: '1' });
  expect(outcomeOf(await Promise.allSettled([refused])).accepted).toBe(0);
  expect((await limited.service.poolStatus(principal)).waitingRequests).toBe(0);
  await limited.service.release(principal, 'with-the-worker');
});

describe('two gateways', () => {
  beforeAll(async () => {
    database = await db.open();
    [one, other] = [await start({ database }), await start()];
  });

  it('a token for some users does not learn from a refusal how much their tenant uses, not even in a batch', async () => {
    const tenant = newPrincipal();
    await limit(tenant.tenant, { EXECUTIONS_PER_MINUTE: 0 });
    const user: Principal = { ...tenant, role: 'USER', users: { uuid: 'ann' } };
    const calls = (of: Principal) => [
      one.service.execute(of, { userUuid: 'ann', code: '1' }),
      one.service.executeBatch(of, { userUuid: 'ann', cells: [{ code: '1' }], stopOnError: false }),
    ];
    const told = outcomeOf(await Promise.allSettled(calls(tenant))).refused;
    const hidden = outcomeOf(await Promise.allSettled(calls(user))).refused;
    for (const details of told) expect(details).toMatchObject({ scope: 'TENANT', used: 0 });
    for (const details of hidden) {
      expect(details).toMatchObject({ scope: 'TENANT', limit: 0 });
      expect(details).not.toHaveProperty('used');
    }
    expect([told.length, hidden.length]).toEqual([2, 2]);
  });

  it('a tenant opens as many sessions as its quota allows, at both gateways together', async () => {
    const principal = newPrincipal();
    await limit(principal.tenant, { OPEN_SESSIONS: 2 });
    const before = await events();
    const calls = Array.from({ length: 8 }, (_, index) =>
      [one, other][index % 2]?.service.openSession(principal, { userUuid: `user-${index}` }),
    );
    const { accepted, refused } = outcomeOf(await Promise.allSettled(calls));
    expect(accepted).toBe(2);
    for (const details of refused) {
      expect(details).toMatchObject({
        quota: 'OPEN_SESSIONS',
        scope: 'TENANT',
        limit: 2,
        used: 2,
        retryAfterMs: 1_000,
        until: null,
      });
    }
    expect(await events()).toBe(before + 2);
    await other.service.openSession(newPrincipal(), { userUuid: 'user-0' });

    // Every way to open a session is limited.
    const user = { userUuid: 'late' };
    const late = [
      one.service.execute(principal, { ...user, code: '1' }),
      one.service.writeFile(principal, { ...user, path: 'a', text: 'b' }),
      one.service.createContext(principal, user),
    ];
    expect(outcomeOf(await Promise.allSettled(late)).accepted).toBe(0);

    // After a release at one gateway, another gateway may open a session at once.
    const [open] = await db.sql<{ userUuid: string }[]>`
    SELECT user_uuid FROM sessions WHERE tenant = ${principal.tenant} AND closed_at IS NULL`;
    await one.service.release(principal, open?.userUuid ?? '');
    await other.service.openSession(principal, user);
    // The open session itself needs no more room.
    expect(await one.service.execute(principal, { ...user, code: '1' })).toMatchObject({
      status: 'OK',
    });
  });

  it('running and queued executions are limited separately', async () => {
    const principal = newPrincipal();
    await limit(principal.tenant, { RUNNING_EXECUTIONS: 2 });
    await limit(principal.tenant, { QUEUED_EXECUTIONS: 3 }, 'a');
    workers.hold();
    const submit = (userUuid: string, gateway = one) =>
      gateway.service.submit(principal, { userUuid, code: HOLD });
    await submit('a');
    await submit('b', other);
    const third = outcomeOf(await Promise.allSettled([submit('c')]));
    expect(third.refused).toMatchObject([
      { quota: 'RUNNING_EXECUTIONS', scope: 'TENANT', limit: 2, used: 2 },
    ]);
    const queued = Array.from({ length: 8 }, (_, index) => submit('a', index % 2 ? one : other));
    const more = outcomeOf(await Promise.allSettled(queued));
    expect(more.accepted).toBe(3);
    expect(more.refused).toMatchObject(
      Array.from({ length: 5 }, () => ({
        quota: 'QUEUED_EXECUTIONS',
        scope: 'USER',
        limit: 3,
        used: 3,
      })),
    );
    workers.letGo();
    await until('all executions to end', async () => {
      const rows = await db.sql`
      SELECT id FROM executions WHERE tenant = ${principal.tenant} AND finished_at IS NULL`;
      return rows.length === 0;
    });
    await submit('c');
  });

  it('executions per minute are limited, and a repeated key does not count again', async () => {
    const principal = newPrincipal();
    await limit(principal.tenant, { EXECUTIONS_PER_MINUTE: 2 }, 'a');
    await inOneMinute();
    const run = (gateway: ServingGateway, key: string) =>
      gateway.service.execute(principal, { userUuid: 'a', code: '1', idempotencyKey: key });
    const first = await run(one, 'first');
    await run(other, 'second');
    const { refused } = outcomeOf(
      await Promise.allSettled([run(one, 'third'), run(other, 'third')]),
    );
    expect(refused).toHaveLength(2);
    expect(refused[0]).toMatchObject({
      quota: 'EXECUTIONS_PER_MINUTE',
      scope: 'USER',
      limit: 2,
      used: 2,
    });
    expect(await run(other, 'first')).toEqual(first);
  });

  it('a quota that is set at one gateway holds at both', async () => {
    const principal = newPrincipal();
    const { tenant } = principal;
    await limit(tenant, { OPEN_SESSIONS: 1 });
    const set = (limit: number | null, userUuid: string | null = null) =>
      one.service.setQuota(OPERATOR, { kind: 'OPEN_SESSIONS', tenant, userUuid, limit });
    const limitAt = async ({ service }: ServingGateway, userUuid: string | null = null) =>
      (await service.quotas(OPERATOR, { tenant, userUuid })).find(
        (each) => each.kind === 'OPEN_SESSIONS',
      );

    await one.service.openSession(principal, { userUuid: 'a' });
    const open = (gateway: ServingGateway, userUuid: string) =>
      gateway.service.openSession(principal, { userUuid });
    expect(outcomeOf(await Promise.allSettled([open(other, 'b')])).accepted).toBe(0);
    expect(await set(2)).toEqual({
      kind: 'OPEN_SESSIONS',
      tenant,
      userUuid: null,
      limit: 2,
      used: 1,
    });
    await until('the other to hear of it', async () => (await limitAt(other))?.limit === 2);
    await open(other, 'b');
    expect(outcomeOf(await Promise.allSettled([open(one, 'c'), open(other, 'd')])).accepted).toBe(
      0,
    );

    // A user may have the limit 0, even if the tenant has no limit.
    await set(null);
    await set(0, 'c');
    await until('both', async () => (await limitAt(other, 'c'))?.limit === 0);
    expect(outcomeOf(await Promise.allSettled([open(other, 'c')])).refused).toMatchObject([
      { scope: 'USER', limit: 0 },
    ]);
    expect(await limitAt(other)).toMatchObject({ limit: null, used: 2 });
    await open(other, 'd');

    // A limit stays, even for a gateway that starts later. Setting the same limit again records no event.
    const [row] =
      await db.sql`SELECT * FROM audit.quotas WHERE tenant = ${tenant} AND user_uuid = 'c'`;
    expect(row).toMatchObject({ kind: 'OPEN_SESSIONS', maximum: 0, actorToken: 'auth-token' });
    await set(0, 'c');
    const events = await db.readStream('quota', quotaIdOf(tenant, 'c', 'OPEN_SESSIONS'));
    expect(events.map(({ event }) => event.data)).toEqual([
      expect.objectContaining({ tenant, userUuid: 'c', kind: 'OPEN_SESSIONS', limit: 0 }),
    ]);
    const later = await start();
    expect(await limitAt(later, 'c')).toMatchObject({ limit: 0 });
  });

  it('a quota that is reset has the limit of the setting again, at all gateways', async () => {
    const principal = newPrincipal();
    const { tenant } = principal;
    const settings = { QUOTA_TENANT_OPEN_SESSIONS: '3' };
    const gateways = [await start({ settings }), await start({ settings })];
    const [first, second] = gateways as [ServingGateway, ServingGateway];
    const of = { kind: 'OPEN_SESSIONS', tenant } as const;
    const limitAt = async ({ service }: ServingGateway) =>
      (await service.quotas(OPERATOR, { tenant })).find(({ kind }) => kind === of.kind)?.limit;
    await first.service.setQuota(OPERATOR, { ...of, limit: 0 });
    await until('both', async () => (await limitAt(second)) === 0);
    const opening = (gateway: ServingGateway, index: number) =>
      gateway.service.openSession(principal, { userUuid: `user-${index}` });
    for (const [index, gateway] of gateways.entries())
      await expect(opening(gateway, index)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    const reset = { ...of, reset: true };
    expect(await second.service.setQuota(OPERATOR, reset)).toMatchObject({ limit: 3 });
    for (const gateway of [...gateways, await start({ settings })])
      await until('all', async () => (await limitAt(gateway)) === 3);
    // Calls that were refused a moment ago are accepted now.
    for (const [index, gateway] of gateways.entries()) await opening(gateway, index);
    expect(await db.sql`SELECT * FROM audit.quotas WHERE tenant = ${tenant}`).toEqual([]);
    // A second reset records no event.
    await first.service.setQuota(OPERATOR, reset);
    const events = await db.readStream('quota', quotaIdOf(tenant, null, of.kind));
    expect(events.map(({ event }) => event.type)).toEqual(['QuotaSet', 'QuotaReset']);
    await expect(first.service.setQuota(OPERATOR, { ...reset, limit: 1 })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'limit' },
    });
  });

  it('a caller sees only the quotas of the users and the tenant of its token', async () => {
    const tenant = newPrincipal();
    await limit(tenant.tenant, { OPEN_SESSIONS: 1 });
    const ann: Principal = { ...tenant, role: 'USER', users: { uuid: 'ann' } };
    const someone: Principal = { ...tenant, role: 'TENANT' };
    await one.service.openSession(someone, { userUuid: 'bob' });
    const kindsOf = async (principal: Principal, request: object) =>
      (await one.service.quotas(principal, request)).map(({ kind, userUuid, used }) => [
        kind,
        userUuid,
        used,
      ]);
    expect(await kindsOf(someone, {})).toContainEqual(['OPEN_SESSIONS', null, 1]);
    expect(await kindsOf(ann, {})).toContainEqual(['OPEN_SESSIONS', 'ann', 0]);
    expect(await kindsOf(ann, { userUuid: 'bob' })).toEqual([]);
    const few: Principal = { ...ann, users: { prefix: 'a' } };
    await expect(kindsOf(few, {})).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(kindsOf(someone, { tenant: 'other' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    // A user must not learn how much the tenant uses.
    await expect(one.service.execute(ann, { userUuid: 'ann', code: '1' })).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: {
        quota: 'OPEN_SESSIONS',
        scope: 'TENANT',
        limit: 1,
        retryAfterMs: 1_000,
        until: null,
      },
    });
    const error = await one.service.execute(ann, { userUuid: 'ann', code: '1' }).catch((e) => e);
    expect(error.details).not.toHaveProperty('used');
  });

  it('what executions have used today is limited at both gateways, and at one that starts later', async () => {
    const principal = newPrincipal();
    const { tenant } = principal;
    /** An execution that has ended. */
    const end = async (userUuid: string, facts = {}) => {
      const [execution] = (
        await database.store.commit({
          streams: [executionRequested({ tenant, userUuid, timeoutMs: 1_500 })],
        })
      ).states;
      const ended = executionFinished({ cpuMs: 1_500, outputBytes: 100, ...facts });
      await database.store.commit({ streams: [onExecution(execution as Execution, ended)] });
      return execution?.id;
    };
    const usedAt = async ({ service }: ServingGateway, userUuid: string | null) =>
      (await service.quotas(OPERATOR, { tenant, userUuid }))
        .filter(({ kind }) => kind.endsWith('_PER_DAY'))
        .map(({ used }) => used);
    await Promise.all([
      end('a'),
      // Without a measured CPU time, an execution counts with its run time on one CPU, but at most with its time limit.
      // Here its loss was noticed late.
      end('a', { cpuMs: null, runMs: 3_600_000 }),
      end('b'),
      // This execution never ran.
      end('b', { cpuMs: null, runMs: null, outputBytes: 0 }),
    ]);
    const later = await start();
    for (const gateway of [one, other, later]) {
      await until('all to be heard', async () => (await usedAt(gateway, null))[0] === 4.5);
      expect(await usedAt(gateway, 'a')).toEqual([3, 200]);
      expect(await usedAt(gateway, 'b')).toEqual([1.5, 100]);
      expect(await usedAt(gateway, null)).toEqual([4.5, 300]);
    }
    const set = (kind: QuotaKind, limit: number | null, userUuid: string | null = null) =>
      one.service.setQuota(OPERATOR, { kind, tenant, userUuid, limit });
    const execute = (gateway: ServingGateway, userUuid: string) =>
      gateway.service.execute(principal, { userUuid, code: '1' });
    await set('OUTPUT_BYTES_PER_DAY', 300);
    const { refused } = outcomeOf(await Promise.allSettled([execute(one, 'c')]));
    expect(refused).toMatchObject([
      { quota: 'OUTPUT_BYTES_PER_DAY', scope: 'TENANT', limit: 300, used: 300 },
    ]);
    expect(new Date(refused[0].until).getTime() % DAY_MS).toBe(0);
    await set('OUTPUT_BYTES_PER_DAY', 301);
    await set('CPU_SECONDS_PER_DAY', 3, 'a');
    const [ofA] = outcomeOf(await Promise.allSettled([execute(one, 'a')])).refused;
    expect(ofA).toMatchObject({ quota: 'CPU_SECONDS_PER_DAY', scope: 'USER', limit: 3, used: 3 });
    expect(await execute(one, 'c')).toMatchObject({ status: 'OK' });
  });
});
