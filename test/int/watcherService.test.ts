/** Refused calls about watchers of folders: no worker is asked. */
import { expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { start, userUuid } = await useServiceGateways({ MAX_TOTAL_WORKERS: '2' });
const { service } = await start();

it('a watcher needs an open session', async () => {
  const request = {
    userUuid: 'nobody',
    path: '.',
    isRecursive: false,
    hasEntries: false,
    keepMs: 1,
  };
  await expect(service.createWatcher(OPERATOR, request)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  const watcher = { userUuid: 'nobody', watcherId: 'w1' };
  await expect(service.removeWatcher(OPERATOR, watcher)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

it('a malformed id of a watcher is refused', async () => {
  const request = { userUuid: userUuid(), watcherId: 'w/1' };
  await expect(service.watcherEvents(OPERATOR, request)).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
    details: { field: 'watcherId' },
  });
});
