/** A history of one user, with a mark in each place where a user, or an operator for them, can write something. */
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { runForget } from '../../src/cli/forget.ts';
import { STREAM_KINDS } from '../../src/domain/entities.ts';
import type { Actor } from '../../src/domain/events.ts';
import { decideFileChange, type FileChange } from '../../src/domain/fileChange.ts';
import type { ExecutionId, NotebookId, SessionId, TokenId } from '../../src/domain/ids.ts';
import type { Output } from '../../src/domain/output.ts';
import { quotaIdOf } from '../../src/domain/quota.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import type { Database } from '../../src/events/database.ts';
import { PROJECTIONS } from '../../src/events/projections/projections.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
  commitOne,
  contextCreated,
  executionFinished,
  executionRequested,
  fileChangeRequested,
  onContext,
  onExecution,
  onSession,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { seal } from './auditChain.ts';
import { type TestDatabase, useDatabase } from './database.ts';

export interface Forgettable {
  readonly tenant: string;
  readonly userUuid: string;
  readonly executionId: ExecutionId;
  /** Everything that must not be found afterwards. */
  readonly marks: readonly string[];
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const at = () => new Date().toISOString();

interface World {
  readonly db: TestDatabase;
  readonly gateway: Database;
  readonly tenant: string;
  readonly userUuid: string;
  readonly mark: Mark;
}

/** Makes the history. All of it has ended, but for one change of a file, whose gateway was killed. */
async function makeForgettable(
  db: TestDatabase,
  gateway: Database,
  { tenant, userUuid }: Pick<Forgettable, 'tenant' | 'userUuid'>,
): Promise<Forgettable> {
  const marks: string[] = [];
  const mark: Mark = (what) => {
    marks.push(newMark(what));
    return marks.at(-1) as string;
  };
  const world = { db, gateway, tenant, userUuid, mark };
  const { session, worker } = await openSession(world);
  await changeContext(world, session);
  const executionId = await run(world, session);
  await changeFiles(world, session);
  await openNotebook(world, session);
  await reach(world, session);
  await grant(world);
  await wait(world, worker);
  await db.sql`ANALYZE`;
  await end(gateway, session, worker);
  return { tenant, userUuid, executionId, marks };
}

const actorOf = (tenant: string): Actor => ({
  ...{ token: 'auth-token', role: 'TENANT', tenant, door: 'graphql' },
});

async function openSession({ gateway: { store }, tenant, userUuid, mark }: World) {
  const requested = await commitOne<'worker'>(store, workerRequested());
  const idle = await commitOne<'worker'>(store, onWorker(requested, ...becomesIdle()));
  const sessionId = newId<SessionId>();
  const metadata = { [mark('metadataKey')]: mark('metadata') };
  const egressAllow = [mark('egressAllow')];
  const values = variablesWith(mark);
  const environmentVariableNames = Object.keys(values).sort();
  const options = {
    metadata,
    environmentVariableNames,
    idleTimeoutMs: 9,
    maxLifeMs: 9,
    egressAllow,
  };
  const { states } = await store.commit({
    streams: [
      sessionOpened({ sessionId, tenant, userUuid, workerId: idle.id, options }),
      onWorker(idle, { type: 'WorkerAssigned', data: { sessionId, at: at() } }),
    ],
    sessionVariables: { sessionId, values },
    actor: actorOf(tenant),
  });
  return { session: states[0] as Session, worker: states[1] as Worker };
}

async function changeContext({ gateway: { store }, mark }: World, session: Session) {
  const asked = { name: mark('context'), workingDirectory: `/home/user/${mark('contextFolder')}` };
  const context = await commitOne<'context'>(store, contextCreated(session, asked));
  const ended = { type: 'ContextEnded', data: { at: at(), reason: 'deleted' } } as const;
  await commitOne(store, onContext(context, ended));
}

async function run(
  { db, gateway, tenant, userUuid, mark }: World,
  session: Session,
): Promise<ExecutionId> {
  const { store } = gateway;
  const executionId = newId<ExecutionId>();
  const [code, key, values] = [mark('code'), mark('key'), variablesWith(mark)];
  const requested = executionRequested({
    ...{ executionId, tenant, userUuid, sessionId: session.id, workerId: session.workerId },
    ...{ code, codeSha256: sha256(code), idempotencyKey: key, allowInput: true },
    ...{ workingDirectory: `/${mark('folder')}`, environmentVariableNames: Object.keys(values) },
    label: mark('label'),
    userExpressions: [{ name: mark('expressionName'), code: mark('expression') }],
  });
  let execution = await commitOne<'execution'>(store, requested, {
    idempotency: {
      ...{ tenant, userUuid, key, codeSha256: sha256(code), requestHash: 'h', executionId },
    },
    executionVariables: { executionId, values },
    actor: actorOf(tenant),
  });
  const bytes = Buffer.from(mark('inputBytes'));
  const pieces = [
    { text: mark('input'), bytes: 9 },
    { base64: bytes.toString('base64'), bytes: bytes.length },
  ];
  for (const piece of pieces) {
    const data = { at: at(), offset: execution.inputBytes, close: false, ...piece };
    const sent = onExecution(execution, { type: 'InputSent', data });
    execution = await commitOne<'execution'>(store, sent, {
      secretInput: { executionId, offset: data.offset, bytes: Buffer.from(mark('secret')) },
    });
  }
  // The planner's statistics take up the values of the variables, whose row is deleted later.
  await db.sql`ANALYZE`;
  const change = { path: mark('changed'), change: 'CREATED', size: 1, modifiedAt: at() } as const;
  const items = [...outputsWith(mark), { kind: 'finish' } as const];
  const outputs = items.map((output, index) => ({
    ...{ executionId, seq: index + 1, at: new Date(), output },
  }));
  const finished = executionFinished({
    ...{ status: 'ERROR', errorName: mark('errorName'), errorValue: mark('error') },
    files: { changes: [change], reason: null, shared: false },
  });
  await commitOne(store, onExecution(execution, finished), { outputs });
  return executionId;
}

async function changeFiles({ gateway: { store }, mark }: World, session: Session) {
  const finish = async (change: FileChange, outcome: Parameters<typeof decideFileChange>[0]) =>
    await commitOne(store, {
      ...{ stream: 'fileChange', id: change.id, state: change },
      events: decideFileChange(outcome, change),
    });
  const request = (over: Parameters<typeof fileChangeRequested>[1]) =>
    commitOne<'fileChange'>(store, fileChangeRequested(session, over));
  const written = await request({ path: mark('path') });
  const content = { size: 3, sha256: sha256(mark('content')), isNew: true };
  await finish(written, { type: 'RecordWritten', at: at(), ...content });
  const moved = await request({ operation: 'move', path: mark('from'), toPath: mark('to') });
  await finish(moved, { type: 'RecordMoved', at: at(), size: 3 });
  await request({ path: mark('pending') });
}

/** Records connections of code to hosts. */
async function reach({ gateway, mark }: World, { id: sessionId }: Session) {
  const minute = new Date();
  const [first, second] = [mark('host'), mark('hosttoo')];
  await gateway.queries.recordEgress([
    ...[first, second].map((host) => ({
      ...{ sessionId, minute, host, port: 443, outcome: 'allowed' as const },
      ...{ connections: 1, sentBytes: 5, receivedBytes: 7 },
    })),
  ]);
}

/** A token, and a quota. */
async function grant({ gateway, tenant, userUuid, mark }: World) {
  const { store, queries } = gateway;
  const tokenId = newId<TokenId>();
  const data = {
    ...{ at: at(), tokenId, name: mark('token'), role: 'USER' as const, tenant, userUuid },
    ...{ userPrefix: null, door: null, expiresAt: null, secretSha256: sha256(newMark('secret')) },
  };
  const created = { type: 'TokenCreated', data } as const;
  await commitOne(store, { stream: 'token', id: tokenId, state: null, events: [created] });
  await queries.recordTokenUses([tokenId], new Date());
  const kind = 'OPEN_SESSIONS';
  const quotaId = quotaIdOf(tenant, userUuid, kind);
  const set = { at: at(), quotaId, tenant, userUuid, kind, limit: 5 } as const;
  const events = [{ type: 'QuotaSet', data: set }] as const;
  await commitOne(store, { stream: 'quota', id: quotaId, state: null, events });
}

/** Adds rows that gateways keep for each other. */
async function wait({ db, tenant, mark }: World, { id }: Worker) {
  const places = { [tenant]: { calls: 1, places: [[mark('hash'), 1]] } };
  await db.sql`
    INSERT INTO waiting_requests (gateway_id, count, tenants)
    VALUES (gen_random_uuid(), 1, ${JSON.stringify(places)}::text::jsonb)`;
  await db.sql`
    INSERT INTO worker_cursors (worker_id, epoch, boot_id, seq, progress)
    VALUES (${id}, 1, 'b', 1, ${JSON.stringify({ error: mark('progress') })}::text::json)`;
}

async function end({ store }: Database, session: Session, worker: Worker) {
  const closed = { type: 'SessionClosed', data: { at: at(), reason: 'released' } } as const;
  const retired = { type: 'WorkerRetired', data: { at: at(), reason: 'released' } } as const;
  const removed = { type: 'WorkerRemoved', data: { at: at() } } as const;
  await store.commit({ streams: [onWorker(worker, retired, removed), onSession(session, closed)] });
}

/** A notebook that nobody closes. */
async function openNotebook(
  { gateway: { store }, tenant, userUuid, mark }: World,
  { id }: Session,
) {
  const notebookId = newId<NotebookId>();
  const [path, name] = [mark('notebookPath'), mark('notebook')];
  const data = {
    at: new Date().toISOString(),
    notebookId,
    tenant,
    userUuid,
    path,
    name,
    contextId: id,
  };
  const opened = { type: 'NotebookOpened', data: { ...data, type: 'notebook' } } as const;
  await commitOne(store, { stream: 'notebook', id: notebookId, state: null, events: [opened] });
}

export interface Forgettables {
  readonly db: TestDatabase;
  readonly gateway: Database;
  readonly ann: Forgettable;
  /** Another user of the same tenant. */
  readonly bob: Forgettable;
  /** A user of the same name as ann in another tenant. */
  readonly other: Forgettable;
  /** Runs `cellhouse forget --yes` with these words. */
  run(...words: string[]): Promise<string>;
  forgetAnn(): Promise<string>;
  /** What everybody used, without names. */
  usage(): Promise<readonly unknown[]>;
  /** The chain verifies, and the rows follow from the events. */
  expectIntact(): Promise<void>;
}

/** A database with three users who can be forgotten. */
export async function useForgettables(
  onEnd: Parameters<typeof useDatabase>[0],
): Promise<Forgettables> {
  const db = await useDatabase(onEnd);
  const gateway = await db.open();
  const [tenant, userUuid] = [newMark('tenant'), newMark('user')];
  const other = await makeForgettable(db, gateway, { tenant: newMark('other'), userUuid });
  const bob = await makeForgettable(db, gateway, { tenant, userUuid: newMark('bob') });
  const ann = await makeForgettable(db, gateway, { tenant, userUuid });
  await seal(gateway);
  const run = async (...words: string[]) => {
    const lines: string[] = [];
    const print = (line: string) => void lines.push(line);
    const config = { logLevel: 'silent' } as const;
    await runForget(['--yes', ...words], { config, address: db.address, print, ask: null });
    return lines.join('\n');
  };
  return {
    ...{ db, gateway, ann, bob, other, run },
    forgetAnn: () => run('--user', userUuid, '--tenant', tenant),
    usage: async () => [
      ...(await db.sql`
        SELECT count(*) AS executions, sum(cpu_ms) AS cpu_ms, sum(output_bytes) AS output_bytes, sum(code_bytes) AS code_bytes
        FROM executions GROUP BY tenant, user_uuid ORDER BY min(requested_position)`),
    ],
    expectIntact: async () => {
      const heads = await gateway.queries.auditHeads();
      expect((await verifyChain(db.address, heads)).findings).toEqual([]);
      await seal(gateway);
      expect((await verifyChain(db.address, [])).findings).toEqual([]);
      expect((await rebuildProjections(db.address)).differing).toEqual(NONE_OF_EACH);
    },
  };
}

// Texts to be looked for afterwards.

/** Makes a text and remembers it. */
type Mark = (what: string) => string;

/** A text that is nowhere else. */
export const newMark = (what: string) => `zq${what}${randomBytes(6).toString('hex')}`;

/** Two variables, because PostgreSQL's statistics keep no value of a table with a single row. */
const variablesWith = (mark: Mark) => ({
  [mark('variable')]: mark('value'),
  [mark('variable')]: mark('value'),
});

/** Outputs of each kind. */
function outputsWith(mark: Mark): Output[] {
  return [
    { kind: 'stream', name: 'stdout', text: `\u0000${mark('text')}` },
    {
      kind: 'display',
      data: { [mark('mime')]: { deep: [mark('display')] } },
      metadata: { a: mark('outputMetadata') },
      displayId: mark('displayId'),
      executionCount: null,
    },
    { kind: 'input', prompt: mark('prompt'), password: false },
    { kind: 'error', name: mark('errorName'), value: mark('value'), traceback: [mark('trace')] },
  ];
}

/** Zero rows for each entity's table. */
export const NONE_OF_EACH: Readonly<Record<string, number>> = Object.fromEntries(
  STREAM_KINDS.map((kind) => [PROJECTIONS[kind].table, 0]),
);

/**
 * The tables with any of these texts, in any form in which a text could be stored: as it is, in hexadecimal, in base64,
 * or as a SHA-256. All tables of all schemas are searched, and the statistics of the planner.
 */
export async function searchEverywhere(
  { sql }: Pick<TestDatabase, 'sql'>,
  texts: readonly string[],
): Promise<string[]> {
  const patterns = texts.flatMap(formsOf).map((form) => `%${form}%`);
  const tables = await sql<{ name: string }[]>`
    SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
  const found = [];
  for (const { name } of [...tables, { name: 'pg_stats' }]) {
    const rows = await sql.unsafe(
      `SELECT 1 FROM ${name} t WHERE t::text LIKE ANY ($1::text[]) LIMIT 1`,
      [patterns],
    );
    if (rows.length > 0) found.push(name);
  }
  return found;
}

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const hash = createHash('sha256').update(bytes).digest();
  return [
    text,
    bytes.toString('hex'),
    ...base64Of(bytes),
    hash.toString('hex'),
    hash.toString('base64').replace(/=+$/, ''),
  ];
}

/** Within a longer text, the base64 of these bytes has one of three forms. The characters at both ends may differ. */
function base64Of(bytes: Buffer): string[] {
  return [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(4, -4),
  );
}
