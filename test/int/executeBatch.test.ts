/** Batches whose session ends, whose gateway stops, or that have a refused cell. The workers are programmed. */

import { beforeEach, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { workers, start, userUuid } = await useServiceGateways();
const gateway = await start();
let begunBefore = 0;
beforeEach(() => {
  begunBefore = workers.begun.length;
});

const begun = () => workers.begun.slice(begunBefore);
const firstBegun = () => until('the first cell to begin', async () => begun().length === 1);

/** Runs a batch of cells with these codes. If `key` is given, each cell has its own key. */
function run(codes: readonly string[], key?: string, { service } = gateway) {
  const cells = codes.map((code, index) => ({
    code,
    ...(key !== undefined && { idempotencyKey: `${key}-${index}` }),
  }));
  return service.executeBatch(AUTH_TOKEN_HOLDER, {
    userUuid: userUuid(),
    cells,
    stopOnError: false,
  });
}

it('a release ends the batch, whatever stopOnError says, and opens no other session', async () => {
  workers.hold();
  const running = run([HOLD, 'never', 'never']);
  await firstBegun();
  await gateway.service.release(AUTH_TOKEN_HOLDER, userUuid());
  expect((await running).map(({ status }) => status)).toEqual(['CANCELLED']);
  workers.letGo();
  expect(begun()).toHaveLength(1);
  expect(await gateway.service.session(AUTH_TOKEN_HOLDER, userUuid())).toMatchObject({
    closeReason: 'released',
  });
});

it('an interrupted cell does not end the batch', async () => {
  workers.hold();
  const running = run([HOLD, 'quick']);
  await firstBegun();
  await gateway.service.interrupt(AUTH_TOKEN_HOLDER, begun()[0] ?? '');
  expect((await running).map(({ status }) => status)).toEqual(['INTERRUPTED', 'OK']);
  workers.letGo();
});

it('a batch sent again with its keys after its session has ended reports what was run, and runs nothing', async () => {
  const done = await run(['1', '2'], 'k');
  await gateway.service.release(AUTH_TOKEN_HOLDER, userUuid());
  expect(await run(['1', '2'], 'k')).toEqual(done);
  expect(await run(['1', '2', 'never'], 'k')).toEqual(done);
  expect(begun()).toEqual(done.map(({ id }) => id));
  expect(await gateway.service.session(AUTH_TOKEN_HOLDER, userUuid())).toMatchObject({
    closeReason: 'released',
  });
});

it('a stopping gateway says that the cell runs on, and begins no further cell', async () => {
  const stopping = await start();
  workers.hold();
  const refused = expect(run([HOLD, 'never'], undefined, stopping)).rejects.toMatchObject({
    code: 'SHUTTING_DOWN',
    details: { accepted: true },
  });
  await firstBegun();
  await stopping.server.close(AbortSignal.abort());
  await refused;
  workers.letGo();
  const after = await gateway.service.execute(AUTH_TOKEN_HOLDER, {
    userUuid: userUuid(),
    code: 'after',
  });
  expect(begun()).toEqual([expect.any(String), after.id]);
});

it('a refusal names the refused cell and the executions before it', async () => {
  const other = { userUuid: userUuid(), code: 'other', idempotencyKey: 'c-1' };
  const { id } = await gateway.service.execute(AUTH_TOKEN_HOLDER, other);
  const refused = await run(['1', '2'], 'c').catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
    message: expect.stringMatching(/^cells\[1\]: idempotencyKey was used/),
    details: {
      cell: 1,
      executionIds: [begun()[1]],
      field: 'idempotencyKey',
      executionId: id,
      different: ['code'],
    },
  });
});
