/** How the writer of a worker's output goes on after a failure. Tests in test/int check what it stores. */

import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createMessageCounts } from '../../src/domain/messageCounts.ts';
import type { Output } from '../../src/domain/output.ts';
import { ConcurrencyError } from '../../src/events/store/eventStore.ts';
import { addOutput, ENDED_WORKER } from '../../src/worker/batch.ts';
import { createWriter, type WriterDeps } from '../../src/worker/writer.ts';
import { queuedExecution } from '../support/states.ts';

const PRINTED: Output = { kind: 'stream', name: 'stdout', text: 'a' };

it('a batch that must be read again is stored, although the database is away meanwhile', async () => {
  const steps: string[] = [];
  let conflicts = 1;
  let outages = 2;
  const deps = {
    store: {
      commit: async () => {
        if (conflicts-- > 0) {
          steps.push('conflict');
          throw new ConcurrencyError('stream');
        }
        steps.push('stored');
        return { states: [] };
      },
    },
    messageCounts: createMessageCounts(),
    logger: pino({ level: 'silent' }),
    stored: () => ENDED_WORKER,
    addStopped: async () => [],
    cursor: () => ({}),
    reload: async () => {
      steps.push(outages > 0 ? 'away' : 'read');
      if (outages-- > 0) throw new Error('The database is away.');
    },
    onStored: () => undefined,
    onFenced: () => steps.push('fenced'),
    followers: () => 1,
    holdBack: () => undefined,
  } as unknown as WriterDeps;
  const writer = createWriter(deps, 0);
  const execution = queuedExecution();
  const job = { execution, code: 'x', isTakenOver: false, nextSeq: 1, stateLost: false };
  addOutput(writer.batch, job, PRINTED, new Date());
  writer.added('end');
  await writer.drained();
  expect(steps).toEqual(['conflict', 'away', 'away', 'read', 'stored']);
});

it('a batch is stored although the channel could not be resumed at first', async () => {
  const stored: number[] = [];
  let failures = 1;
  const deps = {
    store: {
      commit: async ({ outputs }: { outputs: readonly unknown[] }) => {
        stored.push(outputs.length);
        return { states: [] };
      },
    },
    messageCounts: createMessageCounts(),
    logger: pino({ level: 'silent' }),
    stored: () => ENDED_WORKER,
    addStopped: async () => [],
    cursor: () => ({}),
    onStored: () => undefined,
    followers: () => 1,
    holdBack: () => {
      if (failures-- > 0) throw new Error('The channel is gone.');
    },
  } as unknown as WriterDeps;
  const writer = createWriter(deps, 0);
  const execution = queuedExecution();
  const job = { execution, code: 'x', isTakenOver: false, nextSeq: 1, stateLost: false };
  addOutput(writer.batch, job, PRINTED, new Date());
  writer.added('end');
  await writer.drained();
  expect(stored).toEqual([1]);
});
