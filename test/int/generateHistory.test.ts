/** The generated history for benchmarks is one that a gateway could have made. */
import { beforeAll, describe, expect, it } from 'vitest';
import { generateHistory } from '../../bench/support/history.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { commitOne, workerRequested } from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { NONE_OF_EACH } from '../support/forgettable.ts';

const HISTORY = { events: 1_000, executions: 100 };

const db = await useDatabase();
const gateway = await db.open();
beforeAll(async () => {
  await gateway.queries.poolIdentity('engine');
});

describe('generateHistory', () => {
  it('makes as many events as requested, and rows that agree with the events', async () => {
    await commitOne(gateway.store, workerRequested());
    expect(await generateHistory(db.sql, HISTORY, { executionsPerBatch: 30 })).toBe(1_000);
    expect(await gateway.store.lastPosition()).toBe(1_001);
    const rebuilt = await rebuildProjections(db.address);
    expect(rebuilt).toMatchObject({
      events: 1_001,
      differing: NONE_OF_EACH,
    });
  });
});
