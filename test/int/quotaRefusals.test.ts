/** A caller who tries again after a refusal by a quota causes no further commit. Two gateways; programmed workers. */
import { afterEach, expect, it } from 'vitest';
import type { QuotaKind } from '../../src/domain/quota.ts';
import type { Database } from '../../src/events/database.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR, type Principal } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { inOneMinute } from '../support/inOneMinute.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { type ServingGateway, useServiceGateways } from '../support/serviceGateways.ts';

const { db, workers, start } = await useServiceGateways();
let requests = 0;
const one = await start({ database: countingRequests(await db.open()) });
const other = await start();
afterEach(() => workers.letGo());

/** The same database, which counts the commits that request an execution. */
function countingRequests(database: Database): Database {
  const { store } = database;
  const commit: typeof store.commit = async (asked) => {
    if (asked.streams.some(({ stream, state }) => stream === 'execution' && state === null))
      requests += 1;
    return await store.commit(asked);
  };
  return { ...database, store: { ...store, commit } };
}

async function limit(tenant: string, kind: QuotaKind, limit: number | null): Promise<void> {
  await one.service.setQuota(OPERATOR, { kind, tenant, limit });
  for (const { service } of [one, other]) {
    await until('all to know it', async () => {
      const quotas = await service.quotas(OPERATOR, { tenant });
      return quotas.find((each) => each.kind === kind)?.limit === limit;
    });
  }
}

const submit = (of: Principal, userUuid: string, gateway: ServingGateway = one, key?: string) =>
  gateway.service.submit(of, { userUuid, code: HOLD, idempotencyKey: key });

async function refused(call: Promise<unknown>) {
  const error = await call.then(
    () => expect.fail('The call was not refused.'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED' });
  return (error as { details: { quota: string; retryAfterMs: number } }).details;
}

it('calls in a minute whose quota is used up are refused from memory, until the limit is raised at any gateway', async () => {
  const of: Principal = { ...OPERATOR, tenant: 'brisk' };
  await inOneMinute();
  await limit('brisk', 'EXECUTIONS_PER_MINUTE', 2);
  const first = await submit(of, 'ann', one, 'first');
  await submit(of, 'ann', other);
  const told = await refused(submit(of, 'ann'));
  await refused(submit(of, 'ann', other));
  const before = requests;
  for (let count = 0; count < 20; count += 1) {
    const again = await refused(submit(of, count % 2 ? 'ann' : 'bob'));
    expect(again).toMatchObject({ quota: 'EXECUTIONS_PER_MINUTE', scope: 'TENANT', used: 2 });
    expect(again.retryAfterMs).toBeLessThanOrEqual(told.retryAfterMs);
  }
  // A repeated call with its key is not a new call.
  expect(await submit(of, 'ann', one, 'first')).toMatchObject({ id: first.id });
  expect(requests).toBe(before);
  // The limit is raised at one gateway, and both gateways have refused calls before.
  await limit('brisk', 'EXECUTIONS_PER_MINUTE', 4);
  await submit(of, 'ann');
  await submit(of, 'ann', other);
  await refused(submit(of, 'ann'));
  await limit('brisk', 'EXECUTIONS_PER_MINUTE', null);
  await submit(of, 'ann');
});

it('after a refusal, the counts of running and queued executions are checked before the commit', async () => {
  const of: Principal = { ...OPERATOR, tenant: 'busy' };
  await limit('busy', 'RUNNING_EXECUTIONS', 1);
  await limit('busy', 'QUEUED_EXECUTIONS', 1);
  workers.hold();
  for (const userUuid of ['ann', 'bob']) await one.service.openSession(of, { userUuid });
  const running = await submit(of, 'ann');
  await submit(of, 'ann');
  expect((await refused(submit(of, 'ann'))).quota).toBe('QUEUED_EXECUTIONS');
  const before = requests;
  for (let count = 0; count < 10; count += 1) {
    // An execution that would run is refused by the quota of running ones, an execution that would wait by the quota of
    // queued ones.
    expect((await refused(submit(of, 'ann'))).quota).toBe('QUEUED_EXECUTIONS');
    expect((await refused(submit(of, 'bob'))).quota).toBe('RUNNING_EXECUTIONS');
  }
  expect(requests).toBe(before);
  await limit('busy', 'RUNNING_EXECUTIONS', 2);
  await submit(of, 'bob');
  // The place of an execution that was ended at any gateway is free at once.
  await other.service.interrupt(of, running.id);
  await until('its end', async () => {
    const { status } = (await one.service.execution(of, running.id)) ?? running;
    return status !== 'QUEUED' && status !== 'RUNNING';
  });
  await submit(of, 'ann');
});
