/** What an execution changed: from the worker's reply to the event, the row, the answer and a rebuild. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExecutionEvent } from '../../src/domain/execution.ts';
import type { ExecutionFiles } from '../../src/domain/executionFiles.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { useDatabase } from '../support/database.ts';
import { NONE_OF_EACH } from '../support/forgettable.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedWorker,
  startScriptedWorker,
} from '../support/scriptedWorker.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport } from '../support/transportServer.ts';

const FILES = 'files { changes { path change size modifiedAt } reason shared }';
const CHART = { path: 'out/a "b".png', change: 'created', size: 5, modified_at: 1_000 };
const RECORDED: ExecutionFiles = {
  changes: [
    { path: CHART.path, change: 'CREATED', size: 5, modifiedAt: '1970-01-01T00:00:01.000Z' },
  ],
  reason: null,
  shared: true,
};

const db = await useDatabase();
const observer = await db.open();
let holder: ActingGateway;
let scripted: ScriptedWorker;
beforeEach(async () => {
  holder = actingGateway(await db.open());
  scripted = await startScriptedWorker(observer);
});
afterEach(async () => {
  await holder.die();
  await scripted.close();
});

/** Runs one execution whose reply says this of the changed files. Resolves with its id once the end is recorded. */
async function run(files: unknown): Promise<string> {
  await holder.adopt(scripted.worker);
  const { id } = await scripted.request(observer);
  await scripted.untilSent(id);
  scripted.begin(id);
  const ended = new Promise<void>((resolve) => {
    const off = observer.wakeUps.onEvent(({ event, streamId }) => {
      if (event.type !== 'ExecutionFinished' || streamId !== id) return;
      off();
      resolve();
    });
  });
  scripted.finish(id, 'finished', { files });
  await ended;
  return id;
}

async function ask(id: string) {
  const transport = await startTransport(databaseService(observer));
  const { data } = await transport.query(`{ execution(id: "${id}") { status ${FILES} } }`);
  return data as { execution: { status: string; files: ExecutionFiles | null } };
}

type Finished = Extract<ExecutionEvent, { type: 'ExecutionFinished' }>;

async function recorded(id: string): Promise<ExecutionFiles | null | undefined> {
  const events = await db.readStream('execution', id);
  const finished = events.find(({ event }) => event.type === 'ExecutionFinished');
  return (finished?.event as Finished | undefined)?.data.files;
}

describe('what an execution changed', () => {
  it('is recorded with its end, answered, and the same after a rebuild', async () => {
    const id = await run({ changes: [CHART], reason: null, shared: true });
    expect(await recorded(id)).toEqual(RECORDED);
    expect((await ask(id)).execution).toEqual({ status: 'OK', files: RECORDED });
    expect((await rebuildProjections(db.address)).differing).toEqual(NONE_OF_EACH);
    await db.sql`UPDATE executions SET files = NULL WHERE id = ${id}`;
    expect((await rebuildProjections(db.address)).differing).toEqual({
      ...NONE_OF_EACH,
      executions: 1,
    });
    expect((await ask(id)).execution.files).toEqual(RECORDED);
  });

  it('is null if the worker’s reply lacks it, as that of a former release does', async () => {
    const id = await run(undefined);
    expect(await recorded(id)).toBeNull();
    expect((await ask(id)).execution).toEqual({ status: 'OK', files: null });
  });

  it('is null with a reason if the worker’s reply is malformed', async () => {
    const lie = { changes: null, reason: 'MALFORMED', shared: false };
    const id = await run({ changes: [{ ...CHART, change: 'encrypted' }], shared: 1 });
    expect((await ask(id)).execution.files).toEqual(lie);
  });

  it('is null with a reason if the worker was lost meanwhile', async () => {
    const worker = await holder.adopt(scripted.worker);
    const { id } = await scripted.request(observer);
    await scripted.untilSent(id);
    scripted.begin(id);
    await worker.end('worker-lost');
    expect((await ask(id)).execution).toEqual({
      status: 'WORKER_LOST',
      files: { changes: null, reason: 'WORKER_LOST', shared: false },
    });
  });
});
