/** A user with a session whose executions are recorded as a gateway records them, although nothing runs. */

import type { Execution } from '../../src/domain/execution.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Database } from '../../src/events/database.ts';
import type { Cursor } from '../../src/events/store/eventStore.ts';
import {
  becomesIdle,
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';

export const EVENTS_PER_EXECUTION = 3;
/** A limit, as `MAX_QUEUED_EXECUTIONS` sets one, so that the commit has to count unfinished executions. */
const MAX_UNFINISHED = 101;

export interface Writer {
  /** Makes two commits: the request; then start, output and finish. Resolves with the milliseconds of each. */
  execute(): Promise<readonly [number, number]>;
}

export async function createWriter({ store, leases }: Database, userUuid: string): Promise<Writer> {
  const requested = await commitOne<'worker'>(store, workerRequested());
  const worker = await commitOne<'worker'>(store, onWorker(requested, ...becomesIdle()));
  const session = await openSession(store, worker, userUuid);
  const cursor = await leases.acquireWorker(worker.id);
  if (cursor === null) throw new Error('Another gateway has it.');
  let seq = 0;
  return {
    execute: async () => {
      const startedAt = performance.now();
      const execution = await request(store, session, `print(${seq})`);
      const requestedAt = performance.now();
      seq += 4;
      await finish(store, execution, { ...cursor, seq });
      return [requestedAt - startedAt, performance.now() - requestedAt];
    },
  };
}

type Store = Database['store'];

async function openSession(store: Store, worker: Worker, userUuid: string): Promise<Session> {
  const opened = sessionOpened({ userUuid, workerId: worker.id });
  if (opened.stream !== 'session') throw new Error('Not a session.');
  const at = new Date().toISOString();
  const assigned = { type: 'WorkerAssigned' as const, data: { sessionId: opened.id, at } };
  const { states } = await store.commit({ streams: [opened, onWorker(worker, assigned)] });
  return states[0] as Session;
}

function request(store: Store, session: Session, code: string): Promise<Execution> {
  const { id, workerId, userUuid, version } = session;
  return commitOne<'execution'>(
    store,
    executionRequested({ sessionId: id, workerId, userUuid, code }),
    { openSessions: [{ id, version }], maxUnfinished: MAX_UNFINISHED },
  );
}

async function finish(store: Store, execution: Execution, cursor: Cursor): Promise<void> {
  const at = new Date();
  const item = (seq: number, output: OutputItem['output']) => ({
    executionId: execution.id,
    seq,
    at,
    output,
  });
  const append = onExecution(
    execution,
    { type: 'ExecutionStarted', data: { at: at.toISOString() } },
    executionFinished(),
  );
  await store.commit({
    streams: [append],
    outputs: [
      item(1, { kind: 'stream', name: 'stdout', text: '1\n' }),
      item(2, { kind: 'finish' }),
    ],
    cursor,
  });
}
