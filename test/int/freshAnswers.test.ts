/** The fields of one mutation run one after the other. Each shows the state after it has run, on a real database. */
import { expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import { newId } from '../../src/process/newId.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onSession,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport } from '../support/transportServer.ts';

const db = await useDatabase();
const gateway = await db.open();

/** A service with one session: `submit` queues its execution, and `execute` finishes that execution. */
async function start() {
  const { store } = gateway;
  const session = await commitOne<'session'>(store, sessionOpened({ userUuid: newId() }));
  let execution: Execution | undefined;
  const finished = async (requested: Execution): Promise<Execution> => {
    const item = { executionId: requested.id, at: new Date() };
    const { states } = await store.commit({
      streams: [onExecution(requested, executionFinished())],
      outputs: [
        { ...item, seq: 1, output: { kind: 'stream', name: 'stdout', text: 'done' } },
        { ...item, seq: 2, output: { kind: 'finish' } },
      ],
    });
    return states[0] as Execution;
  };
  const submit = async () => {
    execution ??= await commitOne<'execution'>(
      store,
      executionRequested({ sessionId: session.id }),
    );
    return execution;
  };
  const service = {
    ...databaseService(gateway),
    submit,
    execute: async () => finished(await submit()),
    release: async () => {
      const data = { at: new Date().toISOString(), reason: 'released' as const };
      return await commitOne<'session'>(store, onSession(session, { type: 'SessionClosed', data }));
    },
  };
  return await startTransport(service);
}

const INPUT = 'input: { userUuid: "ann", code: "print()", idempotencyKey: "k" }';

it('a later field shows outputs that came after an earlier field had read the outputs', async () => {
  const { query } = await start();
  const { data, errors } = await query(
    `mutation { a: submit(${INPUT}) { stdout } b: execute(${INPUT}) { status stdout outputs(first: 1) { seq } } }`,
  );
  expect(errors).toBeUndefined();
  expect(data).toEqual({
    a: { stdout: '' },
    b: { status: 'OK', stdout: 'done', outputs: [{ seq: 1 }] },
  });
});

it('a later field shows that the session was closed after an earlier field had read it', async () => {
  const { query } = await start();
  const { data, errors } = await query(
    `mutation { a: submit(${INPUT}) { session { closeReason } }
      release(input: { userUuid: "ann" }) { released }
      b: submit(${INPUT}) { session { closeReason } } }`,
  );
  expect(errors).toBeUndefined();
  expect(data).toEqual({
    a: { session: { closeReason: null } },
    release: { released: true },
    b: { session: { closeReason: 'RELEASED' } },
  });
});
