import { beforeAll, describe, expect, it } from 'vitest';
import type { ExecutionEvent } from '../../src/domain/execution.ts';
import {
  decideFileChange,
  type FileChange,
  type FileChangeCommand,
  type FileOperation,
} from '../../src/domain/fileChange.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import {
  becomesIdle,
  commitOne,
  executionFinished,
  executionRequested,
  fileChangeRequested,
  onExecution,
  onSession,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { fences, inlineCode, readPage, USER_PAGES } from '../support/userPages.ts';

const OPTIONS = {
  metadata: { team: 'red', task: '7' },
  environmentVariableNames: ['LANG', 'TOKEN'],
  idleTimeoutMs: null,
  maxLifeMs: 60_000,
};

const PAGE = 'docs/run/audit.md';
/** Its SQL is for a standby: test/e2e/standby.test.ts runs it. */
const OF_A_STANDBY = 'docs/run/standby.md';
const OTHERS = USER_PAGES.filter((page) => page !== PAGE && page !== OF_A_STANDBY);

const db = await useDatabase();
const gateway = await db.open();
/** The queries of {@link PAGE}, in their order. */
const queries = fences('sql', readPage(PAGE));
let lost: Worker;
let session: Session;

/** Text, text that SQL cannot hold, a password, and bytes that are not text. */
const INPUTS = [
  { bytes: 1, text: 'a' },
  { bytes: 2, text: '\u0000\n' },
  { bytes: 6 },
  { bytes: 2, base64: '/wA=' },
];

/** Ada runs three pieces of code, loses her worker and queues a fourth. Bob runs one and releases his session. */
beforeAll(async () => {
  const ada = await openSession('ada');
  await run(ada.session, 'print(6 * 7)', {
    cpuMs: 1_500,
    runMs: 2_000,
    peakMemoryBytes: 64 * 2 ** 20,
  });
  await run(ada.session, 'x = "\u0000"', { cpuMs: 20, status: 'ERROR', errorName: 'SyntaxError' });
  await run(ada.session, 'secret_table.read()', {
    cpuMs: null,
    status: 'WORKER_LOST',
    runMs: null,
    files: { changes: null, reason: 'worker-lost', shared: false },
  });
  const at = new Date().toISOString();
  const [, , third] = await gateway.store
    .commit({
      streams: [
        onWorker(ada.worker, {
          type: 'WorkerLost',
          data: { reason: 'oom', exitCode: 137, detail: null, at },
        }),
        onSession(ada.session, { type: 'SessionClosed', data: { reason: 'worker-lost', at } }),
        executionRequested({ userUuid: 'ada', code: 'print(6 * 7)', sessionId: ada.session.id }),
      ],
    })
    .then(({ states }) => states);
  expect(third).toMatchObject({ status: 'QUEUED' });
  lost = ada.worker;
  session = ada.session;
  const bob = await openSession('bob');
  await run(bob.session, 'print(6 * 7)', {
    cpuMs: 30,
    files: {
      changes: [
        { path: 'b.png', change: 'CREATED', size: 7, modifiedAt: at },
        { path: 'old', change: 'DELETED', size: null, modifiedAt: null },
      ],
      reason: null,
      shared: true,
    },
    inputs: INPUTS,
  });
  await changeFiles(bob.session);
  await commitOne(
    gateway.store,
    onSession(bob.session, { type: 'SessionClosed', data: { reason: 'released', at } }),
  );
});

async function openSession(userUuid: string): Promise<{ worker: Worker; session: Session }> {
  const requested = await commitOne<'worker'>(gateway.store, workerRequested());
  const idle = await commitOne<'worker'>(gateway.store, onWorker(requested, ...becomesIdle()));
  const opened = sessionOpened({
    userUuid,
    workerId: idle.id,
    ...(userUuid === 'bob' && { options: OPTIONS }),
  });
  const at = new Date().toISOString();
  const { states } = await gateway.store.commit({
    streams: [
      opened,
      onWorker(idle, { type: 'WorkerAssigned', data: { sessionId: opened.id as never, at } }),
    ],
  });
  return { session: states[0] as Session, worker: states[1] as Worker };
}

async function run(
  { id: sessionId, workerId, userUuid }: Session,
  code: string,
  { inputs = [], ...end }: End & { readonly inputs?: typeof INPUTS },
): Promise<void> {
  let execution = await commitOne<'execution'>(
    gateway.store,
    executionRequested({ sessionId, workerId, userUuid, code }),
  );
  for (const piece of inputs) {
    const { inputBytes: offset } = execution;
    const data = { at: new Date().toISOString(), offset, close: false, ...piece };
    const sent = onExecution(execution, { type: 'InputSent', data });
    execution = await commitOne<'execution'>(gateway.store, sent);
  }
  await commitOne(gateway.store, onExecution(execution, executionFinished(end)));
}

type End = Partial<Extract<ExecutionEvent, { type: 'ExecutionFinished' }>['data']>;

/** Four changes of files: one succeeds, one is never answered, one is refused, and one breaks off. */
async function changeFiles(session: Session): Promise<void> {
  const request = (path: string, operation: FileOperation) =>
    commitOne<'fileChange'>(gateway.store, fileChangeRequested(session, { path, operation }));
  const at = new Date().toISOString();
  const finish = (change: FileChange, command: Omit<FileOutcome, 'at'>) =>
    commitOne(gateway.store, {
      stream: 'fileChange',
      id: change.id,
      state: change,
      events: decideFileChange({ at, ...command } as FileOutcome, change),
    });
  const written = { type: 'RecordWritten', size: 3, sha256: 'f'.repeat(64), isNew: true } as const;
  await finish(await request('a.csv', 'write'), written);
  await request('late.csv', 'write');
  const refused = { type: 'RecordFailure', code: 'FILE_ACCESS_DENIED', mayHaveHappened: false };
  await finish(await request('secret.csv', 'write'), refused as FileOutcome);
  const broken = { type: 'RecordFailure', code: 'FILES_UNAVAILABLE', mayHaveHappened: true };
  await finish(await request('gone.txt', 'delete'), broken as FileOutcome);
}

type FileOutcome = Exclude<FileChangeCommand, { type: 'RequestFileChange' }>;

const answer = async (number: number) => [...(await db.sql.unsafe(queries[number - 1] ?? ''))];

describe('other pages', () => {
  const shown = OTHERS.map(readPage).flatMap((page) => [
    ...fences('sql', page),
    ...inlineCode(page).filter((code) => /^SELECT .* FROM /.test(code)),
  ]);

  it('show SQL', () => {
    expect(shown.length).toBeGreaterThanOrEqual(5);
  });

  it.each(shown)('show SQL that PostgreSQL takes: %s', async (query) => {
    await db.sql.unsafe(query);
  });
});

describe(PAGE, () => {
  it('shows eleven queries', () => {
    expect(queries).toHaveLength(11);
  });

  it('1: who ran what', async () => {
    expect(await answer(1)).toMatchObject([
      { userUuid: 'bob', status: 'OK', runMs: 12, code: 'print(6 * 7)' },
      { userUuid: 'ada', status: 'QUEUED', runMs: null, errorName: null },
      { userUuid: 'ada', status: 'WORKER_LOST', runMs: null, code: 'secret_table.read()' },
      { userUuid: 'ada', status: 'ERROR', errorName: 'SyntaxError', code: '"x = \\"\\u0000\\""' },
      { userUuid: 'ada', status: 'OK', runMs: 2_000, code: 'print(6 * 7)' },
    ]);
  });

  it('2: usage by day', async () => {
    expect(await answer(2)).toMatchObject([
      { userUuid: 'ada', executions: 4, failed: 2, cpuS: 2, runS: 2, peakMib: 64 },
      { userUuid: 'bob', executions: 1, failed: 0, cpuS: 0 },
    ]);
  });

  it('3: the most CPU time', async () => {
    const rows = await answer(3);
    expect(rows.map(({ userUuid, cpuMs }) => [userUuid, cpuMs])).toEqual([
      ['ada', 1_500],
      ['bob', 30],
      ['ada', 20],
    ]);
  });

  it('4: how sessions ended', async () => {
    expect(await answer(4)).toMatchObject([
      { closeReason: 'released', sessions: 1, executions: '1', kernelRestarts: 0 },
      { closeReason: 'worker-lost', sessions: 1, executions: '4', kernelRestarts: 0 },
    ]);
  });

  it('5: lost workers', async () => {
    expect(await answer(5)).toMatchObject([
      {
        name: lost.name,
        containerId: 'c1',
        endReason: 'oom',
        exitCode: 137,
        userUuid: 'ada',
        sessionId: session.id,
      },
    ]);
  });

  it('6: who ran this code', async () => {
    const rows = await answer(6);
    expect(rows.map(({ userUuid, times }) => [userUuid, times])).toEqual([
      ['ada', 2],
      ['bob', 1],
    ]);
  });

  it('7: who used this word', async () => {
    const rows = await answer(7);
    expect(rows.map(({ userUuid, times }) => [userUuid, times])).toEqual([['ada', 1]]);
  });

  it('9: sessions with metadata', async () => {
    const [row, ...others] = await answer(9);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      userUuid: 'bob',
      metadata: OPTIONS.metadata,
      environmentVariableNames: OPTIONS.environmentVariableNames,
      closeReason: 'released',
    });
    expect(row?.expiresAt - row?.openedAt).toBe(OPTIONS.maxLifeMs);
  });
});

it('11: what each token did, and what was done without a token', async () => {
  expect(await answer(11)).toMatchObject([
    { actorToken: null, name: null, userUuid: 'ada', executions: 4 },
    { actorToken: null, name: null, userUuid: 'bob', executions: 1 },
  ]);
});

describe('audit.inputs', () => {
  it('10: which input was sent, but only the length of a password', async () => {
    const rows = await answer(10);
    expect(
      rows.map(({ inputOffset, bytes, isSecret, input }) => [
        Number(inputOffset),
        Number(bytes),
        isSecret,
        input,
      ]),
    ).toEqual([
      [9, 2, false, '/wA='],
      [3, 6, true, null],
      [1, 2, false, '"\\u0000\\n"'],
      [0, 1, false, 'a'],
    ]);
    expect(rows[0]).toMatchObject({ userUuid: 'bob' });
  });
});

describe('audit.files', () => {
  it('8: who changed which file, with UNKNOWN if no outcome is known', async () => {
    const rows = (await answer(8)).filter(({ source }) => source === 'api');
    expect(rows.map(({ path, operation, outcome }) => [path, operation, outcome])).toEqual([
      ['gone.txt', 'delete', 'UNKNOWN'],
      ['secret.csv', 'write', 'FAILED'],
      ['late.csv', 'write', 'UNKNOWN'],
      ['a.csv', 'write', 'WRITTEN'],
    ]);
    expect(rows.at(-1)).toMatchObject({ userUuid: 'bob', sizeBytes: 3, sha256: 'f'.repeat(64) });
    expect(rows[1]).toMatchObject({ errorCode: 'FILE_ACCESS_DENIED' });
  });

  it('lists what executions changed, with UNKNOWN if the worker was lost', async () => {
    const rows = await db.sql`
      SELECT user_uuid, operation, path, outcome, size_bytes, reason, is_shared, modified_at IS NULL AS is_undated
      FROM audit.files WHERE source = 'execution' ORDER BY first_position, path`;
    expect(rows.map((row) => Object.values(row))).toEqual([
      ['ada', null, null, 'UNKNOWN', null, 'worker-lost', false, true],
      ['bob', 'created', 'b.png', 'WRITTEN', 7, null, true, false],
      ['bob', 'deleted', 'old', 'DELETED', null, null, true, true],
    ]);
  });
});

describe('the audit views', () => {
  it('describe every column', async () => {
    const columns = await db.sql<{ name: string; meaning: string | null }[]>`
      SELECT c.relname || '.' || a.attname AS name, col_description(c.oid, a.attnum) AS meaning
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      WHERE c.relnamespace = 'audit'::regnamespace`;
    const names = new Set(columns.map(({ name }) => name.split('.')[0]));
    expect([...names].sort()).toEqual([
      'contexts',
      'egress',
      'environments',
      'executions',
      'files',
      'inputs',
      'quotas',
      'refused_calls',
      'sessions',
      'tokens',
      'usage_daily',
      'workers',
    ]);
    expect(columns.filter(({ meaning }) => !meaning).map(({ name }) => name)).toEqual([]);
  });

  it('can be read completely, whatever text users sent', async () => {
    for (const view of ['executions', 'sessions', 'workers', 'usage_daily', 'files', 'inputs']) {
      const rows = await db.sql`SELECT * FROM audit.${db.sql(view)}`;
      expect(rows.length).toBeGreaterThan(0);
    }
  });

  it('give what the executions of a session cost', async () => {
    const [row] = await db.sql`SELECT * FROM audit.sessions WHERE session_id = ${session.id}`;
    expect(row).toMatchObject({
      executions: 4,
      failedExecutions: 2,
      cpuMs: 1_520,
      isAfterLoss: false,
    });
  });
});
