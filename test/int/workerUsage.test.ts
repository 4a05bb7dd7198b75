/** What a session's worker uses, asked at any gateway. The workers are programmed. */
import { expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { start, userUuid } = await useServiceGateways();
const one = await start();
const other = await start();

const open = () => one.service.openSession(AUTH_TOKEN_HOLDER, { userUuid: userUuid() });
const usage = ({ service } = one, principal: Principal = AUTH_TOKEN_HOLDER) =>
  service.workerUsage(principal, userUuid());

const TOLD = { cpuMs: 7, memoryBytes: 50, memoryLimitBytes: 100, oomKills: 0 };

it('every gateway says what the worker of a session uses', async () => {
  await open();
  const all = { ...TOLD, clockMs: 1_000, cacheBytes: 5, diskBytes: 20, diskLimitBytes: 40 };
  expect(await usage()).toEqual(all);
  expect(await usage(other)).toEqual(all);
});

it('the usage is null without an open session, and for sessions of others', async () => {
  expect(await usage()).toBeNull();
  await open();
  const stranger = { ...AUTH_TOKEN_HOLDER, role: 'USER', users: { uuid: 'stranger' } } as const;
  expect(await usage(one, stranger)).toBeNull();
  await one.service.release(AUTH_TOKEN_HOLDER, userUuid());
  expect(await usage()).toBeNull();
  expect(await usage(other)).toBeNull();
});
