/** Watchers of folders and workers of a former image: the programmed workers are such. */
import { expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { start, userUuid } = await useServiceGateways({ MAX_TOTAL_WORKERS: '2' });
const { service } = await start();

const WITHOUT = {
  code: 'BAD_USER_INPUT',
  message: expect.stringMatching(/made by an earlier release, without watchers of folders\./),
};

it('a worker without watchers is told of in words', async () => {
  await service.execute(OPERATOR, { userUuid: userUuid(), code: '1' });
  const request = { userUuid: userUuid(), path: '.', isRecursive: false, hasEntries: false };
  await expect(service.createWatcher(OPERATOR, { ...request, keepMs: 1 })).rejects.toMatchObject(
    WITHOUT,
  );
  const follower = {
    gone: new AbortController().signal,
    started: async () => {},
    told: async () => {},
  };
  await expect(service.followFolder(OPERATOR, request, follower)).rejects.toMatchObject(WITHOUT);
});

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

it('what is no id of a watcher is refused', async () => {
  const request = { userUuid: userUuid(), watcherId: 'w/1' };
  await expect(service.watcherEvents(OPERATOR, request)).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
    details: { field: 'watcherId' },
  });
});
