/** A history of one user, with a mark in each place where a user, or an operator for them, can write something. */
import { createHash } from 'node:crypto';
import type { Actor } from '../../src/domain/events.ts';
import { decideFileChange, type FileChange } from '../../src/domain/fileChange.ts';
import type { ExecutionId, NotebookId, SessionId, TokenId } from '../../src/domain/ids.ts';
import { quotaIdOf } from '../../src/domain/quota.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Database } from '../../src/events/database.ts';
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
import type { TestDatabase } from './database.ts';
import { type Mark, newMark, outputsWith, variablesWith } from './marks.ts';

export interface Forgettable {
  readonly tenant: string;
  readonly userUuid: string;
  readonly executionId: ExecutionId;
  /** Everything that must not be found afterwards. */
  readonly marks: readonly string[];
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const at = () => new Date().toISOString();

export interface World {
  readonly db: TestDatabase;
  readonly gateway: Database;
  readonly tenant: string;
  readonly userUuid: string;
  readonly mark: Mark;
}

/** Makes the history. All of it has ended, but for one change of a file, whose gateway was killed. */
export async function makeForgettable(
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
  // The values come into the statistics while they are there.
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

/** What code has asked for outside. */
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

/** What gateways keep for each other. */
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
