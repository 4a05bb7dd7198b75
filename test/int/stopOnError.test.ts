/**
 * The executions that an execution with `stopOnError` cancels, as callers of two gateways see them. The workers are
 * programmed.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createRandom } from '../../chaos/random.ts';
import { type Execution, queueOf } from '../../src/domain/execution.ts';
import type { Database } from '../../src/events/database.ts';
import { LimitError } from '../../src/events/store/eventStore.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { EXTENT } from '../extent.ts';
import { RAISE } from '../support/programmedKernels.ts';
import { SEED } from '../support/seeded.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const USER = 'user-1';
const ROUNDS = EXTENT.stoppedRounds;
const MAX_IN_ROUND = 6;
/** How late a request may be, in turns of the event loop. */
const MAX_TURNS = 12;

const { db, workers, start } = await useServiceGateways({ MAX_COMMANDS: '2' });
/** How often an end was not stored at once, because another execution had just been accepted. */
let conflicts = 0;
const startCounting = async () => start({ database: counting(await db.open()) });
const gateways = [await startCounting(), await startCounting()] as const;
const [{ service: one }, { service: other }] = gateways;

function counting(database: Database): Database {
  const { store } = database;
  const commit: typeof store.commit = async (asked) => {
    try {
      return await store.commit(asked);
    } catch (error: unknown) {
      if (error instanceof LimitError && asked.cursor) conflicts += 1;
      throw error;
    }
  };
  return { ...database, store: { ...store, commit } };
}

const random = createRandom(SEED);
const pick = <T>(...from: readonly T[]): T => random.pick(from) as T;
const upTo = (most: number) => random.between(0, most);

type Asked = Omit<ExecuteRequest, 'userUuid'>;

/** A request that may fail, and may then stop others. */
function anyRequest(contextId: string): Asked {
  const stopOnError = pick(true, false);
  if (pick(true, false)) return { code: pick('exit 1', 'true'), language: 'BASH', stopOnError };
  return { code: pick(RAISE, '1'), contextId: pick(null, contextId), stopOnError };
}

async function runLater(asked: Asked): Promise<Execution> {
  for (let turns = upTo(MAX_TURNS); turns > 0; turns -= 1) await turn();
  return await pick(one, other).execute(AUTH_TOKEN_HOLDER, { userUuid: USER, ...asked });
}

interface Recorded {
  readonly accepted: number;
  readonly ended: number;
  readonly recordedAt: Date;
  readonly stoppedBy: string | null;
}

/** When each execution was accepted and ended, as positions of events, and which execution stopped it. */
async function readRecorded(): Promise<Map<string, Recorded>> {
  const rows = await db.sql<({ id: string } & Recorded)[]>`
    SELECT substr(q.stream_id, 11) AS id, q.position::int AS accepted, f.position::int AS ended,
      f.recorded_at, f.data ->> 'stoppedBy' AS stopped_by
    FROM events q JOIN events f ON f.stream_id = q.stream_id AND f.type = 'ExecutionFinished'
    WHERE q.type = 'ExecutionRequested'`;
  return new Map(rows.map((row) => [row.id, row]));
}

it('a failure with `stopOnError` cancels what either gateway has accepted behind it, and none of that runs', async () => {
  const { id: contextId } = await one.createContext(AUTH_TOKEN_HOLDER, { userUuid: USER });
  const executions: Execution[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const asked = Array.from({ length: 2 + upTo(MAX_IN_ROUND - 2) }, () => anyRequest(contextId));
    executions.push(...(await Promise.all(asked.map(runLater))));
  }
  const recorded = await readRecorded();
  const of = ({ id }: Execution) => {
    const found = recorded.get(id);
    if (!found) throw new Error('An execution has not ended.');
    return found;
  };
  const failed = executions.filter(
    ({ status, options }) => status !== 'OK' && options?.stopOnError === true,
  );
  const counts = { stopped: 0, ran: 0 };
  for (const execution of executions) {
    const { accepted, recordedAt, stoppedBy } = of(execution);
    const ran = workers.begun.filter((id) => id === execution.id).length;
    const before = failed.filter((by) => {
      const isBehind = of(by).accepted < accepted && accepted < of(by).ended;
      return isBehind && queueOf(by) === queueOf(execution);
    });
    if (stoppedBy !== null) {
      counts.stopped += 1;
      const by = before.find(({ id }) => id === stoppedBy);
      expect(by && of(by).recordedAt).toEqual(recordedAt);
      expect([execution.status, ran]).toEqual(['CANCELLED', 0]);
    } else {
      counts.ran += 1;
      expect([execution.status === 'CANCELLED', ran]).toEqual([false, 1]);
      // Commands are left out, because several run at the same time.
      if (execution.language === 'PYTHON') expect(before).toEqual([]);
    }
  }
  expect(counts.stopped).toBeGreaterThan(ROUNDS / 10);
  expect(counts.ran).toBeGreaterThan(ROUNDS);
  expect(conflicts).toBeGreaterThan(0);
  expect(await db.queries.openSession('default', USER)).not.toBeNull();
}, 240_000);

it('the same key with and without `stopOnError` is a conflict', async () => {
  const asked = { userUuid: USER, code: '1', idempotencyKey: 'k' };
  const first = await one.submit(AUTH_TOKEN_HOLDER, { ...asked, stopOnError: true });
  expect(first.options).toEqual({ stopOnError: true });
  expect(await other.submit(AUTH_TOKEN_HOLDER, { ...asked, stopOnError: true })).toMatchObject({
    id: first.id,
  });
  await expect(other.submit(AUTH_TOKEN_HOLDER, asked)).rejects.toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
    details: { different: ['cancelQueuedOnError'] },
  });
});
