import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { openArchive } from '../../src/cli/prune.ts';
import type { Execution } from '../../src/domain/execution.ts';
import type { Output } from '../../src/domain/output.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import type { Database } from '../../src/events/database.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { type PruneOptions, pruneHistory } from '../../src/events/retention/pruneHistory.ts';
import { newId } from '../../src/process/newId.ts';
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
import { until } from '../../testkit/until.ts';
import { seal } from '../support/auditChain.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';
import { NONE_OF_EACH } from '../support/forgettable.ts';

const OLD = new Date('2026-01-01T00:00:00.000Z');
const CUTOFF = new Date('2026-02-01T00:00:00.000Z');
const RECENT = new Date('2026-03-01T00:00:00.000Z');

let db: TestDatabase;
let gateway: Database;
beforeEach(async () => {
  db = await useDatabase(onTestFinished);
  gateway = await db.open();
});

interface Life {
  readonly worker: Worker;
  readonly session: Session;
  readonly execution: Execution;
}

/** A worker with one session and one execution of three outputs, all ended at `endedAt` (null: nothing has ended). */
async function live(userUuid: string, endedAt: Date | null): Promise<Life> {
  const { store } = gateway;
  const at = OLD.toISOString();
  const idle = await commitOne<'worker'>(store, workerRequested(undefined, OLD));
  const ready = await commitOne<'worker'>(store, onWorker(idle, ...becomesIdle(OLD)));
  const session = await commitOne<'session'>(
    store,
    sessionOpened({ userUuid, workerId: ready.id, at }),
  );
  const requested = executionRequested({ userUuid, sessionId: session.id, workerId: ready.id, at });
  const execution = await commitOne<'execution'>(store, requested);
  const outputs: Output[] = ['one\u0000', 'two', 'three'].map((text) => ({
    kind: 'stream',
    name: 'stdout',
    text,
  }));
  const items = [...outputs, { kind: 'finish' } as const].map((output, index) => ({
    executionId: execution.id,
    seq: index + 1,
    at: OLD,
    output,
  }));
  await store.commit({ streams: [], outputs: endedAt ? items : items.slice(0, 3) });
  if (endedAt) {
    const end = endedAt.toISOString();
    const { states } = await store.commit({
      streams: [
        onWorker(
          ready,
          { type: 'WorkerRetired', data: { at: end, reason: 'released' } },
          { type: 'WorkerRemoved', data: { at: end } },
        ),
        onSession(session, { type: 'SessionClosed', data: { at: end, reason: 'released' } }),
        onExecution(execution, executionFinished({ at: end })),
      ],
    });
    const [worker, closed, finished] = states as [Worker, Session, Execution];
    return { worker, session: closed, execution: finished };
  }
  return { worker: ready, session, execution };
}

const prune = (archive: PruneOptions['archive'] = null) =>
  pruneHistory(db.address, { before: CUTOFF, archive, newId });
const outputsOf = async ({ execution }: Life) => {
  const start = { executionId: execution.id, seq: 0 };
  return (await db.queries.outputs(start, { limit: 100, maxBytes: 1e9 })).items;
};

describe('pruneHistory', () => {
  it('deletes the history of streams that ended long ago, and keeps live and recent streams, and all rows', async () => {
    const old = await live('old', OLD);
    const recent = await live('recent', RECENT);
    const open = await live('open', null);
    expect(await prune()).toEqual({
      ...NONE_OF_EACH,
      executions: 1,
      sessions: 1,
      workers: 1,
      events: 5 + 2 + 2,
      outputs: 3,
    });
    const { queries } = gateway;
    expect(await db.readStream('execution', old.execution.id)).toEqual([]);
    expect(await queries.execution(old.execution.id)).toEqual(old.execution);
    expect(await queries.session(old.session.id)).toEqual(old.session);
    expect(await queries.worker(old.worker.id)).toEqual(old.worker);
    for (const { execution } of [recent, open])
      expect(await db.readStream('execution', execution.id)).not.toEqual([]);
    expect((await outputsOf(recent)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(await prune()).toMatchObject({ executions: 0, events: 0, outputs: 0 });
  });

  it('reads at most 64 MiB of code, input and output at a time, but at least one execution', async () => {
    const MIB = 1024 * 1024;
    // The rows say that these executions have so much output, but none is stored.
    for (const outputBytes of [40 * MIB, 24 * MIB, 1, 200 * MIB, 1]) {
      const requested = executionRequested({ at: OLD.toISOString() });
      const execution = await commitOne<'execution'>(gateway.store, requested);
      const end = { at: OLD.toISOString(), outputBytes };
      await commitOne(gateway.store, onExecution(execution, executionFinished(end)));
    }
    await live('newer', null);
    const pages: number[] = [];
    expect(await prune(async (lines) => void pages.push(lines.length))).toMatchObject({
      executions: 5,
    });
    // Each execution has two events.
    expect(pages).toEqual([2, 4, 2, 2]);
  });

  it('deletes an unfinished file change with its session, and its row stays UNKNOWN', async () => {
    const change = async ({ session }: Life) => {
      const requested = fileChangeRequested(session, { at: OLD.toISOString() });
      return await commitOne<'fileChange'>(gateway.store, requested);
    };
    const old = await change(await live('old', OLD));
    const recent = await change(await live('recent', RECENT));
    const open = await change(await live('open', null));
    await live('newer', null);
    expect(await prune()).toMatchObject({ file_changes: 1 });
    expect(await db.readStream('fileChange', old.id)).toEqual([]);
    for (const { id } of [recent, open])
      expect(await db.readStream('fileChange', id)).toHaveLength(1);
    const outcome = () => db.sql`SELECT outcome FROM audit.files WHERE change_id = ${old.id}`;
    expect(await outcome()).toEqual([{ outcome: 'UNKNOWN' }]);
    expect((await rebuildProjections(db.address)).differing).toEqual(NONE_OF_EACH);
    expect(await outcome()).toEqual([{ outcome: 'UNKNOWN' }]);
    expect(await prune()).toMatchObject({ file_changes: 0 });
  });

  it('is recorded, with what it deleted, and the audit chain still holds', async () => {
    const old = await live('old', OLD);
    const position = await gateway.store.lastPosition();
    await live('newer', null);
    await prune(async () => undefined);
    const [executions] = await db.sql`SELECT * FROM removals WHERE outputs > 0`;
    expect(executions).toMatchObject({
      ...{ reason: 'pruned', before: CUTOFF, streams: 1, events: 2, outputs: 3, isArchived: true },
      ...{ version: 1 },
    });
    const [event] = await db.readStream('removal', executions?.id);
    expect(event?.metadata.actor).toMatchObject({ token: 'cli' });
    const salts = await db.sql`
      SELECT DISTINCT position <= ${position} AS is_old, salt IS NULL AS is_gone FROM event_links ORDER BY 1`;
    expect(salts).toEqual([
      { isOld: false, isGone: false },
      { isOld: true, isGone: true },
    ]);
    const verified = await verifyChain(db.address, await gateway.queries.auditHeads());
    expect(verified).toMatchObject({ unsealed: 3, findings: [] });
    expect(await db.readStream('execution', old.execution.id)).toEqual([]);
  });

  it('deletes only what is sealed', async () => {
    await live('old', OLD);
    await live('newer', null);
    // The head of the chain now says that only the first three events are sealed.
    await seal(gateway);
    await db.sql`UPDATE chain_head SET position = 3`;
    await expect(prune()).rejects.toThrow('event_links_pkey');
    expect(await db.sql`SELECT FROM pruned_streams`).toEqual([]);
  });

  it.each([
    ['no removal was recorded', () => db.sql`DELETE FROM event_removals`, /^Event \d+ was removed/],
    [
      'the event of the removal is gone',
      () => db.sql`DELETE FROM events WHERE stream_id LIKE 'removal-%'`,
      /^The removal .* was forged/,
    ],
    [
      'one more event was deleted in the name of a recorded removal',
      async () => {
        await db.sql`DELETE FROM events WHERE stream_id LIKE 'session-%'`;
        await db.sql`
          INSERT INTO event_removals SELECT l.position, (SELECT min(id::text)::uuid FROM removals)
          FROM event_links l WHERE NOT EXISTS (SELECT FROM events e WHERE e.position = l.position)
          ON CONFLICT DO NOTHING`;
      },
      /^The removal .* has deleted or emptied \d+ events, but/,
    ],
    [
      'a deleted event was put back',
      () => db.sql`
        INSERT INTO events SELECT (SELECT min(position) FROM event_removals), gen_random_uuid(), 'x', 1, type,
          schema_version, data, metadata, recorded_at FROM events LIMIT 1`,
      /is there, although it was pruned/,
    ],
  ])('cannot be forged: verify finds that %s', async (_, forge, finding) => {
    await live('old', OLD);
    await live('newer', null);
    await prune();
    await forge();
    const { findings } = await verifyChain(db.address, []);
    expect(findings).toContainEqual(expect.stringMatching(finding));
  });

  it('leaves a gap that says how much output is gone, and the finish after it', async () => {
    const old = await live('old', OLD);
    await live('newer', null);
    const before = await outputsOf(old);
    await prune();
    const after = await outputsOf(old);
    expect(after.map(({ seq, output: { kind } }) => [seq, kind])).toEqual([
      [3, 'gap'],
      [4, 'finish'],
    ]);
    const bytes = before.slice(0, 3).map(({ output }) => JSON.stringify(output).length);
    expect(after[0]?.output).toEqual({
      kind: 'gap',
      reason: 'pruned',
      droppedBytes: bytes.reduce((sum, size) => sum + size, 0),
    });
  });

  it('archives all that it deletes, and deletes nothing that it could not archive', async () => {
    const old = await live('old', OLD);
    await live('newer', null);
    const failing = prune(() => Promise.reject(new Error('The disk is full.')));
    await expect(failing).rejects.toThrow('The disk is full.');
    expect(await outputsOf(old)).toHaveLength(4);
    const path = join(await mkdtemp(join(tmpdir(), 'cellhouse-archive-')), 'old.ndjson');
    const file = await openArchive(path);
    await prune(file.append);
    await file.close();
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
    await rm(dirname(path), { recursive: true });
    const rows = lines.map((line) => JSON.parse(line));
    expect(rows.filter(({ table }) => table === 'events')).toHaveLength(9);
    const texts = rows.filter(({ table }) => table === 'output_events').map(({ row }) => row.body);
    expect(texts.map(({ text }) => text)).toEqual(['one\u0000', 'two', 'three']);
  });

  it('waits for an archive on a slow disk, even longer than other transactions may be idle', async () => {
    const old = await live('old', OLD);
    await live('newer', null);
    const isLate = async () => {
      const [waiting] = await db.sql<{ isLate: boolean }[]>`
        SELECT clock_timestamp() - state_change > interval '5.5 s' AS is_late FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cellhouse prune'`;
      return waiting === undefined || waiting.isLate;
    };
    let isFirst = true;
    await prune(async () => {
      if (isFirst) await until('the usual limit to be over', isLate);
      isFirst = false;
    });
    expect(await db.readStream('execution', old.execution.id)).toEqual([]);
  });

  it('does not disturb a rebuild: rows without events stay, and all others are made from events', async () => {
    await live('old', OLD);
    const open = await live('open', null);
    await prune();
    const before = await db.sql`SELECT * FROM executions ORDER BY id`;
    await db.sql`UPDATE executions SET status = 'OK' WHERE id = ${open.execution.id}`;
    const { differing } = await rebuildProjections(db.address);
    expect(differing).toEqual({ ...NONE_OF_EACH, executions: 1 });
    expect(await db.sql`SELECT * FROM executions ORDER BY id`).toEqual(before);
  });

  it('never lets a position be given twice, even if everything is old', async () => {
    await live('old', OLD);
    const last = await gateway.store.lastPosition();
    await prune();
    // The prune itself has recorded three events: for workers, for sessions and for executions.
    const pruned = await gateway.store.lastPosition();
    expect(pruned).toBe(last + 3);
    const { events } = await gateway.store.commit({ streams: [workerRequested()] });
    expect(events[0]?.position).toBe(pruned + 1);
  });
});
