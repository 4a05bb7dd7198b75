/** Histories to seal and to verify. */
import type { SessionId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import { sealAll } from '../../src/events/chain/auditKeeper.ts';
import type { Database } from '../../src/events/database.ts';
import { newId } from '../../src/process/newId.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  sessionOpened,
} from '../../testkit/events.ts';
import type { TestDatabase } from './database.ts';

/** Seals all events so far. */
export async function seal({ queries, gatewayId }: Database): Promise<void> {
  await sealAll(queries, { gatewayId, pauses: 0, isOver: () => false });
}

/** Adds a session with executions of one user, each finished: 1 + 2 * `executions` events. */
export async function addHistory(
  { store }: Database,
  { tenant = 'default', executions = 3 } = {},
): Promise<Session> {
  const session = await commitOne<'session'>(
    store,
    sessionOpened({ tenant, userUuid: newId<SessionId>() }),
  );
  for (let count = 0; count < executions; count += 1) {
    const { id: sessionId, workerId, userUuid } = session;
    const requested = executionRequested({ sessionId, workerId, tenant, userUuid });
    const execution = await commitOne<'execution'>(store, requested);
    await commitOne(store, onExecution(execution, executionFinished()));
  }
  return session;
}

/** Seals all events so far as if it were `daysAgo` days ago, and closes that day (UTC). */
export async function closeDay(
  db: TestDatabase,
  gateway: Database,
  daysAgo: number,
): Promise<void> {
  await seal(gateway);
  // A test cannot wait for midnight, so the open day moves into the past.
  await db.sql`UPDATE chain_head SET open_day = (now() AT TIME ZONE 'UTC')::date - ${daysAgo}::int`;
  await seal(gateway);
}
