/** What becomes of an adoption during which the gateway stops. */
import { Duplex } from 'node:stream';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createMessageCounts } from '../../src/domain/messageCounts.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Database } from '../../src/events/database.ts';
import { createHeldWorkers } from '../../src/worker/heldWorkers.ts';
import { DEFAULT_LANE } from '../../src/worker/lanes.ts';
import { createGate } from '../support/gate.ts';

const worker = { id: 'worker-1' } as unknown as Worker;

it('an adoption during which the gateway stops gives its lease back, and none begins afterwards', async () => {
  const steps: string[] = [];
  const gate = createGate();
  const database = {
    leases: {
      onLost: () => () => undefined,
      acquireWorker: async () => {
        steps.push('acquired');
        return { workerId: worker.id, epoch: 1, bootId: '', seq: 0, progress: null };
      },
      releaseWorker: async () => void steps.push('released'),
    },
    store: {
      lastPosition: async () => {
        await gate.isOpen;
        return 1;
      },
    },
    queries: {
      openSessionOfWorker: async () => null,
      unfinishedExecutions: async () => [],
      openContextsOfWorker: async () => [],
      pendingRequests: async () => [],
    },
  } as unknown as Database;
  const heldWorkers = createHeldWorkers({
    database,
    logger: pino({ level: 'silent' }),
    messageCounts: createMessageCounts(),
    now: () => new Date(),
    interruptGraceMs: 1,
    maxCommands: 1,
    laneOf: () => DEFAULT_LANE,
    followers: () => 0,
    egress: null,
    addressOf: () => ({
      open: () => {
        steps.push('dialled');
        // An agent that does not answer.
        const read = () => undefined;
        const destroy = (_error: Error | null, done: () => void) => {
          steps.push('hung up');
          done();
        };
        return new Duplex({ read, destroy, write: (_chunk, _encoding, done) => done() });
      },
      untilOpen: async () => undefined,
    }),
    onSuspect: () => undefined,
    onOpen: () => undefined,
  });
  const adopting = heldWorkers.adopt(worker);
  const closing = heldWorkers.close(10_000);
  gate.open();
  await closing;
  expect(await adopting).toBeNull();
  expect(await heldWorkers.adopt(worker)).toBeNull();
  expect(heldWorkers.all()).toEqual([]);
  expect(steps).toEqual(['acquired', 'dialled', 'hung up', 'released']);
});
