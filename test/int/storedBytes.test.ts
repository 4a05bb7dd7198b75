/** The quota of stored bytes, at two gateways on one database. The workers are programmed. */
import { beforeAll, expect, it } from 'vitest';
import { runForget } from '../../src/cli/forget.ts';
import type { Execution } from '../../src/domain/execution.ts';
import type { Database } from '../../src/events/database.ts';
import { pruneHistory } from '../../src/events/retention/pruneHistory.ts';
import { newId } from '../../src/process/newId.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR, type Principal } from '../../src/service/principal.ts';
import { executionFinished, executionRequested, onExecution } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { SAY } from '../support/programmedKernels.ts';
import { type ServingGateway, useServiceGateways } from '../support/serviceGateways.ts';

const { db, start } = await useServiceGateways();
const CUTOFF = new Date('2026-02-01T00:00:00.000Z');
const OLD = '2026-01-01T00:00:00.000Z';
const CODE = 'x = 1';
const OUTPUT_BYTES = 95;
const EACH = CODE.length + OUTPUT_BYTES;

let tenants = 0;
let database: Database;
let one: ServingGateway;
let other: ServingGateway;
beforeAll(async () => {
  database = await db.open();
  [one, other] = [await start({ database }), await start()];
});

const newPrincipal = (): Principal => ({ ...OPERATOR, tenant: `tenant-${++tenants}` });

/** Records an execution that has ended. */
async function end(tenant: string, userUuid: string, at = new Date().toISOString()) {
  const requested = executionRequested({ tenant, userUuid, code: CODE, at });
  const [execution] = (await database.store.commit({ streams: [requested] })).states;
  const ended = executionFinished({ storedOutputBytes: OUTPUT_BYTES, at });
  await database.store.commit({ streams: [onExecution(execution as Execution, ended)] });
}

async function storedAt({ service }: ServingGateway, tenant: string, userUuid: string | null) {
  const quotas = await service.quotas(OPERATOR, { tenant, userUuid });
  return quotas.find(({ kind }) => kind === 'STORED_BYTES');
}

/** Sets the limit at the first gateway. Resolves when both know it. */
async function limit(tenant: string, userUuid: string | null, value: number | null) {
  await one.service.setQuota(OPERATOR, { kind: 'STORED_BYTES', tenant, userUuid, limit: value });
  await until('the other gateway to know the limit', async () => {
    return (await storedAt(other, tenant, userUuid))?.limit === value;
  });
}

const execute = ({ service }: ServingGateway, principal: Principal, userUuid: string) =>
  service.execute(principal, { userUuid, code: '1' });

it('the quota limits a tenant and a user at both gateways, and at one that starts later', async () => {
  const principal = newPrincipal();
  const { tenant } = principal;
  await Promise.all([end(tenant, 'ann'), end(tenant, 'ann'), end(tenant, 'bob')]);
  const later = await start();
  for (const gateway of [one, other, later]) {
    await until('the gateway to count all executions', async () => {
      return (await storedAt(gateway, tenant, null))?.used === 3 * EACH;
    });
    expect((await storedAt(gateway, tenant, 'ann'))?.used).toBe(2 * EACH);
    expect((await storedAt(gateway, tenant, 'bob'))?.used).toBe(EACH);
  }
  await limit(tenant, 'ann', 2 * EACH);
  for (const gateway of [one, other]) {
    const error = await execute(gateway, principal, 'ann').catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: `The user may have ${2 * EACH} bytes of code, input and output stored, and all of that is used. Nothing was recorded. Only an operator frees some, with \`cellhouse prune\`.`,
      details: {
        ...{ quota: 'STORED_BYTES', scope: 'USER', limit: 2 * EACH, used: 2 * EACH },
        ...{ retryAfterMs: null, until: null },
      },
    });
  }
  await limit(tenant, null, 3 * EACH + 1);
  expect(await execute(other, principal, 'bob')).toMatchObject({ status: 'OK' });
  // With the bytes of that execution, the tenant exceeds its limit at both gateways.
  for (const gateway of [one, other]) {
    await until('the gateway to count the last execution', async () => {
      return ((await storedAt(gateway, tenant, null))?.used ?? 0) > 3 * EACH;
    });
    await expect(execute(gateway, principal, 'bob')).rejects.toMatchObject({
      details: { quota: 'STORED_BYTES', scope: 'TENANT' },
    });
  }
});

it('the quota counts the bytes that executions have stored', async () => {
  const principal = newPrincipal();
  const { tenant } = principal;
  const before = await storedAt(other, tenant, 'ann');
  expect(before?.used).toBe(0);
  const code = `${SAY}something`;
  const { id } = await one.service.execute(principal, { userUuid: 'ann', code });
  const [row] = await db.sql<{ stored: number; outputs: number }[]>`
    SELECT x.stored_output_bytes AS stored,
      (SELECT count(*) FROM output_events o WHERE o.execution_id = x.id AND o.kind <> 'finish')::int AS outputs
    FROM executions x WHERE x.id = ${id}`;
  expect(row?.outputs).toBeGreaterThan(0);
  expect(row?.stored).toBeGreaterThan((row?.outputs ?? 0) * 64);
  const stored = code.length + (row?.stored ?? 0);
  for (const gateway of [one, other])
    await until('the gateway to count the execution', async () => {
      return (await storedAt(gateway, tenant, 'ann'))?.used === stored;
    });
});

it('pruned bytes become free at both gateways', async () => {
  const principal = newPrincipal();
  const { tenant } = principal;
  await Promise.all([end(tenant, 'ann', OLD), end(tenant, 'ann'), end(tenant, 'bob', OLD)]);
  await limit(tenant, null, 3 * EACH);
  for (const gateway of [one, other])
    await expect(execute(gateway, principal, 'ann')).rejects.toMatchObject({
      details: { quota: 'STORED_BYTES', used: 3 * EACH },
    });
  await pruneHistory(db.address, { before: CUTOFF, archive: null, newId });
  const later = await start();
  for (const gateway of [one, other, later]) {
    await until('the pruned bytes to be free', async () => {
      return (await storedAt(gateway, tenant, null))?.used === EACH;
    });
    expect((await storedAt(gateway, tenant, 'ann'))?.used).toBe(EACH);
    expect((await storedAt(gateway, tenant, 'bob'))?.used).toBe(0);
  }
  expect(await execute(one, principal, 'ann')).toMatchObject({ status: 'OK' });
});

it('the bytes of a forgotten user become free for the tenant, and for the user who comes back', async () => {
  const principal = newPrincipal();
  const { tenant } = principal;
  await Promise.all([end(tenant, 'ann', OLD), end(tenant, 'ann'), end(tenant, 'bob')]);
  for (const gateway of [one, other])
    await until('the gateway to count all executions', async () => {
      return (await storedAt(gateway, tenant, null))?.used === 3 * EACH;
    });
  const words = ['--yes', '--user', 'ann', '--tenant', tenant];
  const print = () => {};
  await runForget(words, { config: { logLevel: 'silent' }, address: db.address, print, ask: null });
  const later = await start();
  const isFree = async () => {
    for (const gateway of [one, other, later]) {
      await until('the forgotten bytes to be free', async () => {
        return (await storedAt(gateway, tenant, null))?.used === EACH;
      });
      expect((await storedAt(gateway, tenant, 'ann'))?.used).toBe(0);
    }
  };
  await isFree();
  // Pruning executions that have been forgotten does not free their bytes a second time.
  await pruneHistory(db.address, { before: CUTOFF, archive: null, newId });
  await isFree();
});

it('storedUse() reads each row once, in however many pages', async () => {
  const { tenant } = newPrincipal();
  const ends = Array.from({ length: 200 }, (_, index) => end(tenant, `user-${index % 3}`));
  await Promise.all(ends);
  const [size] = await db.sql<{ blocks: number }[]>`
    SELECT pg_relation_size('executions') / current_setting('block_size')::int AS blocks`;
  expect(size?.blocks).toBeGreaterThan(2);
  for (const pageBlocks of [1, 2, 1_000]) {
    // The position may rise during the read, because the gateways record events of their own.
    const before = await database.store.lastPosition();
    const { uses, unfinished, position } = await db.queries.storedUse(pageBlocks);
    const own = uses.filter((use) => use.tenant === tenant);
    expect(own.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(200 * EACH);
    expect(own).toHaveLength(3);
    expect(unfinished).toEqual([]);
    expect(position).toBeGreaterThanOrEqual(before);
    expect(position).toBeLessThanOrEqual(await database.store.lastPosition());
  }
});

it('a quota from a setting counts what was stored before the gateway started', async () => {
  const principal = newPrincipal();
  await end(principal.tenant, 'ann');
  const settings = { QUOTA_USER_STORED_BYTES: String(EACH) };
  const limited = await start({ settings });
  await expect(execute(limited, principal, 'ann')).rejects.toMatchObject({
    details: { quota: 'STORED_BYTES', scope: 'USER', limit: EACH, used: EACH },
  });
  expect(await execute(limited, principal, 'bob')).toMatchObject({ status: 'OK' });
});
