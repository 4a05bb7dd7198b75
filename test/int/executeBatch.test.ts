/** Batches whose session ends, whose gateway stops, and of which a cell is refused. The workers are programmed ones. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import { createProgrammedRuntime, HOLD } from '../support/programmedRuntime.ts';
import { startServingGateway } from '../support/servingGateway.ts';

const PRINCIPAL = { tenant: 'default' };

const db = await useDatabase();
const socketDir = mkdtempSync(join(tmpdir(), 'ch-batch-'));
const workers = createProgrammedRuntime();
const { runtime } = workers;
const gateway = await startServingGateway({ database: await db.open(), runtime, socketDir });
let user = 0;
let begunBefore = 0;
beforeEach(() => {
  user += 1;
  begunBefore = workers.begun.length;
});
afterAll(async () => {
  await gateway.close();
  await workers.close();
  rmSync(socketDir, { recursive: true, force: true });
});

const userUuid = () => `user-${user}`;
const begun = () => workers.begun.slice(begunBefore);
const firstBegun = () => until('the first cell to begin', async () => begun().length === 1);

/** Codes, each with a key of its own if `key` is given. */
function run(codes: readonly string[], stopping = new AbortController().signal, key?: string) {
  const cells = codes.map((code, index) => ({
    code,
    ...(key !== undefined && { idempotencyKey: `${key}-${index}` }),
  }));
  const batch = { userUuid: userUuid(), cells, stopOnError: false };
  return gateway.service.executeBatch(PRINCIPAL, batch, { stopping });
}

it('a release ends the batch, whatever stopOnError says, and opens no other session', async () => {
  workers.hold();
  const running = run([HOLD, 'never', 'never']);
  await firstBegun();
  await gateway.service.release(PRINCIPAL, userUuid());
  expect((await running).map(({ status }) => status)).toEqual(['CANCELLED']);
  workers.letGo();
  expect(begun()).toHaveLength(1);
  expect(await gateway.service.session(PRINCIPAL, userUuid())).toMatchObject({
    closeReason: 'released',
  });
});

it('an interrupted cell does not end it', async () => {
  workers.hold();
  const running = run([HOLD, 'quick']);
  await firstBegun();
  await gateway.service.interrupt(PRINCIPAL, begun()[0] ?? '');
  expect((await running).map(({ status }) => status)).toEqual(['INTERRUPTED', 'OK']);
  workers.letGo();
});

it('sent again with its keys after its session has ended, it says what was run, and runs nothing', async () => {
  const { signal } = new AbortController();
  const done = await run(['1', '2'], signal, 'k');
  await gateway.service.release(PRINCIPAL, userUuid());
  expect(await run(['1', '2'], signal, 'k')).toEqual(done);
  expect(await run(['1', '2', 'never'], signal, 'k')).toEqual(done);
  expect(begun()).toEqual(done.map(({ id }) => id));
  expect(await gateway.service.session(PRINCIPAL, userUuid())).toMatchObject({
    closeReason: 'released',
  });
});

it('a gateway that stops begins no further cell, and says which', async () => {
  const stopping = new AbortController();
  workers.hold();
  const running = run([HOLD, 'never'], stopping.signal);
  await firstBegun();
  stopping.abort();
  workers.letGo();
  await expect(running).rejects.toMatchObject({
    code: 'SHUTTING_DOWN',
    details: { cell: 1, executionIds: begun() },
  });
  expect(begun()).toHaveLength(1);
});

it('a refusal says which cell it was, and what was run before it', async () => {
  const other = { userUuid: userUuid(), code: 'other', idempotencyKey: 'c-1' };
  const { id } = await gateway.service.execute(PRINCIPAL, other);
  const refused = await run(['1', '2'], new AbortController().signal, 'c').catch(
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
    message: expect.stringMatching(/^cells\[1\]: idempotencyKey was used/),
    details: { cell: 1, executionIds: [begun()[1]], field: 'idempotencyKey', executionId: id },
  });
});
