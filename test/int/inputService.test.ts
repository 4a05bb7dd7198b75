/** Input and terminals as callers of the service see them, at two gateways. The workers are programmed. */

import { expect, it } from 'vitest';
import { pause } from '../../src/async/pause.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { READ } from '../support/programmedKernels.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const SIZE = { columns: 80, rows: 24 };
/** The shortest idle timeout that a session may have. */
const IDLE_MS = 1_000;

const { db, workers, start, userUuid } = await useServiceGateways();
const gateways = [await start(), await start()] as const;
const [{ service: one }, { service: other }] = gateways;

const command = (more: Partial<ExecuteRequest> = {}): ExecuteRequest => ({
  userUuid: userUuid(),
  code: READ,
  language: 'BASH',
  allowInput: true,
  ...more,
});
const status = async (id: string) => (await one.execution(AUTH_TOKEN_HOLDER, id))?.status;

it.each(['BASH', 'PYTHON'] as const)(
  'code in %s goes on when its input has come',
  async (language) => {
    const { id } = await one.submit(AUTH_TOKEN_HOLDER, command({ language }));
    for (const [service, text] of [
      [other, 'a'],
      [one, 'b'],
    ] as const)
      await service.sendInput(AUTH_TOKEN_HOLDER, { executionId: id, text });
    const end = await other.sendInput(AUTH_TOKEN_HOLDER, {
      executionId: id,
      offset: 2,
      close: true,
    });
    expect(end).toMatchObject({ offset: 2, nextOffset: 2, execution: { id, inputBytes: 2 } });
    await expect.poll(() => status(id)).toBe('OK');
  },
);

it('cells of a batch may wait for input, too', async () => {
  const cells = [{ code: READ, allowInput: true }, { code: '1' }];
  const done = one.executeBatch(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), cells });
  const waiting = async () =>
    (await one.executions(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), statuses: ['RUNNING'] }, {}))
      .edges;
  await expect.poll(waiting).toHaveLength(1);
  const [edge] = await waiting();
  await other.sendInput(AUTH_TOKEN_HOLDER, { executionId: edge?.item.id ?? '', close: true });
  expect((await done).map(({ status }) => status)).toEqual(['OK', 'OK']);
});

it('a command with a terminal has input, and its size is changed on any gateway', async () => {
  const asked = command({ pty: SIZE, allowInput: false });
  const { id, options } = await one.submit(AUTH_TOKEN_HOLDER, asked);
  expect(options).toEqual({ allowInput: true, pty: SIZE });
  await expect.poll(() => status(id)).toBe('RUNNING');
  const before = workers.sizes.length;
  expect(await one.resizeTerminal(AUTH_TOKEN_HOLDER, id, { columns: 100, rows: 30 })).toBe(true);
  expect(await other.resizeTerminal(AUTH_TOKEN_HOLDER, id, { columns: 65_535, rows: 1 })).toBe(
    true,
  );
  expect(workers.sizes.slice(before)).toEqual(['100x30', '65535x1']);
  await other.sendInput(AUTH_TOKEN_HOLDER, { executionId: id, close: true });
  await expect.poll(() => status(id)).toBe('OK');
  expect(await other.resizeTerminal(AUTH_TOKEN_HOLDER, id, SIZE)).toBe(false);
  expect(await db.readStream('execution', id as never)).toHaveLength(4);
});

it('only a command can have a terminal, and only if it was requested with one', async () => {
  const refused = (field: string) => ({ code: 'BAD_USER_INPUT', details: { field } });
  await expect(
    one.submit(AUTH_TOKEN_HOLDER, command({ language: 'PYTHON', pty: SIZE })),
  ).rejects.toMatchObject(refused('pty'));
  const { id } = await one.submit(AUTH_TOKEN_HOLDER, command());
  await expect(one.resizeTerminal(AUTH_TOKEN_HOLDER, id, SIZE)).rejects.toMatchObject(
    refused('executionId'),
  );
  await one.sendInput(AUTH_TOKEN_HOLDER, { executionId: id, close: true });
});

it('a request under the same key must agree in its input and its terminal', async () => {
  const keyed = command({ code: 'true', idempotencyKey: 'k', pty: SIZE });
  const first = await one.execute(AUTH_TOKEN_HOLDER, keyed);
  expect(await other.execute(AUTH_TOKEN_HOLDER, { ...keyed, allowInput: false })).toMatchObject({
    id: first.id,
  });
  const differences = async (more: Partial<ExecuteRequest>) =>
    await other
      .execute(AUTH_TOKEN_HOLDER, { ...keyed, ...more })
      .catch(({ details }) => details.different);
  expect(await differences({ pty: { columns: 80, rows: 25 } })).toEqual(['pty']);
  expect(await differences({ pty: null, allowInput: false })).toEqual(['allowInput', 'pty']);
});

it.each(['what is typed', 'another size'])('%s is a use of the session', async (what) => {
  const user = userUuid();
  await one.openSession(AUTH_TOKEN_HOLDER, { userUuid: user, idleTimeoutMs: IDLE_MS });
  const { id } = await one.submit(AUTH_TOKEN_HOLDER, command({ pty: SIZE }));
  const use = () =>
    what === 'another size'
      ? other.resizeTerminal(AUTH_TOKEN_HOLDER, id, SIZE)
      : other.sendInput(AUTH_TOKEN_HOLDER, { executionId: id, text: 'a' });
  await expect.poll(() => status(id)).toBe('RUNNING');
  for (const end = Date.now() + 4 * IDLE_MS; Date.now() < end; await pause(IDLE_MS / 10))
    await use();
  expect(await status(id)).toBe('RUNNING');
  // Without a use, the session ends, because the command does not keep it.
  await expect.poll(() => status(id), { timeout: 10 * IDLE_MS }).toBe('CANCELLED');
});
