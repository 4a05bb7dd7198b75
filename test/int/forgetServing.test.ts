/** `cellhouse forget` while two gateways serve. The workers are programmed. */
import { afterEach, expect, it } from 'vitest';
import { runForget } from '../../src/cli/forget.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { db, workers, start } = await useServiceGateways({ MIN_IDLE_WORKERS: '1' });
const [one, other] = [await start(), await start()];
afterEach(() => workers.letGo());

const forget = (...words: string[]) =>
  runForget(['--yes', ...words], {
    config: { logLevel: 'silent' },
    address: db.address,
    print: () => {},
    ask: null,
  });
const sessionOf = async (userUuid: string) =>
  await db.queries.openSession(OPERATOR.tenant, userUuid);

it('forgetting ends running code at any gateway, removes the worker, and disturbs no other user', async () => {
  workers.hold();
  const ann = [];
  for (const [index, gateway] of [one, other].entries()) {
    const userUuid = `ann-${index}`;
    const { id } = await gateway.service.submit(OPERATOR, { userUuid, code: HOLD });
    await until('it to run', async () => workers.begun.includes(id));
    ann.push({ userUuid, id, session: await sessionOf(userUuid) });
  }
  await other.service.execute(OPERATOR, { userUuid: 'bob', code: '1' });
  const bob = await sessionOf('bob');
  for (const { userUuid, id, session } of ann) {
    await forget('--user', userUuid);
    const execution = await db.queries.execution(id);
    expect(execution).toMatchObject({ status: 'CANCELLED', codeSha256: '', codeBytes: 4 });
    expect(execution?.userUuid).toMatch(/^forgotten-/);
    const [requested] = await db.readStream('execution', id);
    expect(requested?.event.data).toMatchObject({ code: '', userUuid: execution?.userUuid });
    expect(await sessionOf(userUuid)).toBeNull();
    const containers = await workers.runtime.list(one.pool.id);
    expect(containers.map(({ workerId }) => workerId)).not.toContain(session?.workerId);
  }
  expect(await sessionOf('bob')).toEqual(bob);
  const again = { userUuid: 'bob', code: '1' };
  expect(await one.service.execute(OPERATOR, again)).toMatchObject({ status: 'OK' });
  // A forgotten user who comes back is a new user.
  const user = { userUuid: 'ann-0', code: '1' };
  expect(await one.service.execute(OPERATOR, user)).toMatchObject({
    status: 'OK',
    stateLost: false,
  });
});

it('a token of a forgotten tenant is revoked, and the names of token, tenant and user are in no list of tokens', async () => {
  const made = await one.service.createToken(OPERATOR, {
    ...{ name: 'anns-laptop', role: 'USER', tenant: 'blue', userUuid: 'ann' },
  });
  await forget('--tenant', 'blue');
  const [token] = (await one.service.tokens(OPERATOR)).filter(({ id }) => id === made.token.id);
  expect(token).toMatchObject({ name: 'forgotten', revokeReason: 'forgotten' });
  expect([token?.tenant, token?.userUuid]).toEqual([
    expect.stringMatching(/^forgotten-/),
    expect.stringMatching(/^forgotten-/),
  ]);
});
