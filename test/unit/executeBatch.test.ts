import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { runCells } from '../../src/service/execute/execute.ts';
import { executionRow } from '../support/memoryService.ts';

const config = loadConfig({ SOCKET_DIR: '/run/x', DATA_DIR: '/var/x' });
const BATCH = {
  userUuid: 'ann',
  cells: ['1', '2', '3'].map((code) => ({ code })),
  stopOnError: false,
};

it('a batch whose session ends begins no further cell after one that ran in a new session', async () => {
  const sessions = [newId<SessionId>(), newId<SessionId>()];
  const ran: string[] = [];
  const done = await runCells(
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

it('a batch begins no further cell after one whose worker was lost', async () => {
  const done = await runCells(
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

it('a batch begins no further cell once its gateway stops, and its error names the first cell that did not begin', async () => {
  const stopping = new AbortController();
  const ran: string[] = [];
  const running = runCells(
    {
      config,
      execute: async () => {
        const execution = executionRow();
        ran.push(execution.id);
        stopping.abort();
        return execution;
      },
      canFollowIn: async () => true,
      stopping: stopping.signal,
    },
    BATCH,
  );
  await expect(running).rejects.toMatchObject({
    code: 'SHUTTING_DOWN',
    details: { cell: 1, executionIds: ran },
  });
  expect(ran).toHaveLength(1);
});
