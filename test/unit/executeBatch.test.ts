import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { executeBatch } from '../../src/service/execute/executeBatch.ts';
import { executionRow } from '../support/memoryService.ts';

const config = loadConfig({ SOCKET_DIR: '/run/x', DATA_DIR: '/var/x' });
const BATCH = {
  userUuid: 'ann',
  cells: ['1', '2', '3'].map((code) => ({ code })),
  stopOnError: false,
};

it('ends with a cell that a race brought into another session', async () => {
  const sessions = [newId<SessionId>(), newId<SessionId>()];
  const ran: string[] = [];
  const done = await executeBatch(
    {
      config,
      execute: async ({ code }) => {
        const sessionId = sessions[ran.push(code) - 1] ?? newId<SessionId>();
        return executionRow({ sessionId });
      },
      canFollowIn: async () => true,
      stopping: new AbortController().signal,
    },
    BATCH,
  );
  expect(ran).toEqual(['1', '2']);
  expect(done.map(({ sessionId }) => sessionId)).toEqual(sessions);
});

it('ends with a cell whose worker was lost', async () => {
  const done = await executeBatch(
    {
      config,
      execute: async () => executionRow({ status: 'WORKER_LOST' }),
      canFollowIn: async () => true,
      stopping: new AbortController().signal,
    },
    BATCH,
  );
  expect(done.map(({ status }) => status)).toEqual(['WORKER_LOST']);
});
