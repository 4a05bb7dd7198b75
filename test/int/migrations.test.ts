/** How a database is migrated to a release, and which releases may still use it. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { migrate, readRelease, type SqlFile, sha256 } from '../../src/events/migrations/migrate.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import { pruneHistory } from '../../src/events/retention/pruneHistory.ts';
import { newId } from '../../src/process/newId.ts';
import { commitOne, onWorker, workerLost, workerRequested } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';
import { cutAfter } from '../support/databaseProxy.ts';

const release = readRelease();
const VIEW = 'audit_workers.sql';

let db: TestDatabase;
beforeEach(async () => {
  db = await useDatabase(onTestFinished, { hasTables: false });
});

/** This release with one changed file, under the given version. */
function changed(version: number, name: string, change: (sql: string) => string) {
  const files = release.files.map((file): SqlFile => {
    const sql = file.name === name ? change(file.sql) : file.sql;
    return { name: file.name, sql, sha256: sha256(sql) };
  });
  return { ...release, version, files };
}

/** A change that adds a column to a view, as a later release may. */
const later = (version: number) =>
  changed(version, VIEW, (sql) =>
    sql.replace('AS environment_id\nFROM', 'AS environment_id, 7 AS more\nFROM'),
  );

async function hasColumnMore(): Promise<boolean> {
  const rows = await db.sql`SELECT FROM information_schema.columns
    WHERE table_schema = 'audit' AND table_name = 'workers' AND column_name = 'more'`;
  return rows.length === 1;
}

const versions = () =>
  db.sql`SELECT version, compatible_from FROM schema_versions ORDER BY version`;
const oids = () =>
  db.sql`SELECT proname, xmin FROM pg_proc WHERE proname LIKE 'cellhouse%' ORDER BY proname`;

describe('migrate', () => {
  it('sets up an empty database, even from several processes at once', async () => {
    await Promise.all([1, 2, 3].map(() => migrate(db.address, release)));
    const { version, compatibleFrom } = release;
    expect([...(await versions())]).toEqual([{ version, compatibleFrom }]);
  });

  it('applies only what changed', async () => {
    await migrate(db.address, release);
    const before = [...(await oids())];
    expect(before.length).toBeGreaterThan(3);
    await migrate(db.address, release);
    await migrate(db.address, later(release.version + 1));
    expect([...(await oids())]).toEqual(before);
    expect(await hasColumnMore()).toBe(true);
    expect((await versions()).at(-1)).toMatchObject({ version: release.version + 1 });
  });

  it('runs the migrations that a later release adds', async () => {
    await migrate(db.address, release);
    const folder = mkdtempSync(join(tmpdir(), 'cellhouse-later-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(release.folder, folder, { recursive: true });
    const journal = join(folder, 'meta/_journal.json');
    const { entries, ...rest } = JSON.parse(readFileSync(journal, 'utf8'));
    const { when, ...last } = entries.at(-1);
    entries.push({ ...last, idx: entries.length, tag: 'more', when: when + 1 });
    writeFileSync(journal, JSON.stringify({ ...rest, entries }));
    writeFileSync(join(folder, 'more.sql'), 'ALTER TABLE workers ADD COLUMN place text');
    await migrate(db.address, { ...readRelease(folder), version: release.version + 1 });
    await db.sql`SELECT place FROM workers`;
    const [made] = await db.sql`SELECT prosrc FROM pg_proc WHERE proname = 'cellhouse_add_rows'`;
    expect(made?.prosrc).toContain('r.place');
  });

  it('leaves a later release’s database unchanged, if this release may run beside it', async () => {
    await migrate(db.address, later(release.version + 1));
    await migrate(db.address, release);
    expect(await hasColumnMore()).toBe(true);
    const gateway = await db.open();
    const worker = await commitOne<'worker'>(gateway.store, workerRequested());
    expect(await commitOne(gateway.store, onWorker(worker, workerLost()))).toMatchObject({
      version: 2,
    });
  });

  it('repeats a migration that was cut off', async () => {
    const broken = changed(release.version, 'audit_usage_daily.sql', () => 'SELECT 1 FROM nowhere');
    await expect(migrate(db.address, broken)).rejects.toThrow('could not be brought up to date');
    expect([...(await versions())]).toEqual([]);
    await migrate(db.address, release);
    expect(await versions()).toHaveLength(1);
  });

  it('can be repeated wherever its connection was lost, and no part of it runs on another connection', async () => {
    let cuts = 0;
    // Each turn cuts the connection later. A TypeError in a timer of the client would make vitest fail.
    for (let packets = 4; ; packets = Math.ceil(packets * 1.5)) {
      const way = await cutAfter(db.address, packets);
      try {
        await migrate(way.address, release);
        break;
      } catch (error: unknown) {
        if (!way.isCut) throw error;
        cuts += 1;
      } finally {
        await way.close();
      }
    }
    expect(cuts).toBeGreaterThan(3);
    const { version, compatibleFrom } = release;
    expect([...(await versions())]).toEqual([{ version, compatibleFrom }]);
    const [rows] = await db.sql`
      SELECT count(*) AS all, count(DISTINCT hash) AS different FROM drizzle.__drizzle_migrations`;
    expect(rows?.all).toBe(rows?.different);
    expect(rows?.all).toBeGreaterThan(0);
  });

  it('refuses a database from before the first release with a clear message', async () => {
    await db.sql`CREATE SCHEMA drizzle`;
    await db.sql`CREATE TABLE drizzle.__drizzle_migrations (id serial, hash text, created_at bigint)`;
    await db.sql`CREATE TABLE events (position bigint)`;
    await expect(db.open()).rejects.toThrow('start on a new DATA_DIR');
  });
});

describe('a gateway that is too old', () => {
  const makeTooNew = () => db.sql`INSERT INTO schema_versions (version, compatible_from)
    VALUES (${release.version + 2}, ${release.version + 1})`;
  const WORDS = `too old for its database: it knows schema version ${release.version}, and the database is at ${release.version + 2}`;

  it('a gateway that is too old does not start, and says why', async () => {
    await migrate(db.address, release);
    await makeTooNew();
    await expect(db.open()).rejects.toThrow(WORDS);
  });

  it('is notified while it runs', async () => {
    const gateway = await db.open();
    await makeTooNew();
    expect(await gateway.unusable).toContain(WORDS);
  });
});

describe('rebuild and prune', () => {
  it('are refused to all releases except the newest', async () => {
    await migrate(db.address, later(release.version + 1));
    const words = `knows schema version ${release.version}, and the database is at ${release.version + 1}`;
    await expect(rebuildProjections(db.address)).rejects.toThrow(words);
    const options = { before: new Date(), archive: null, newId };
    await expect(pruneHistory(db.address, options)).rejects.toThrow(words);
  });
});

describe('events of a later release', () => {
  it('do not keep an older gateway from reading the events that it knows', async () => {
    const old = await db.open();
    const other = await db.open();
    const told: string[] = [];
    old.wakeUps.onEvent(({ event }) => told.push(event.type));
    for (const [stream, type] of [
      ['context-0197a000-0000-7000-8000-000000000001', 'ContextMade'],
      ['worker-0197a000-0000-7000-8000-000000000002', 'WorkerMoved'],
    ] as const) {
      await db.sql`INSERT INTO events (position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at)
        SELECT coalesce(max(position), 0) + 1, ${newId()}, ${stream}, 1, ${type}, 1, '{}', '{}', now() FROM events`;
    }
    await commitOne(other.store, workerRequested());
    await until('the event after them', async () => told.length > 0);
    expect(told).toEqual(['WorkerRequested']);
  });
});

describe('a new column of an entity', () => {
  it('is not changed by a gateway that does not know it, and has its default in that gateway’s new rows', async () => {
    const old = await db.open();
    const worker = await commitOne<'worker'>(old.store, workerRequested());
    await db.sql`ALTER TABLE workers ADD COLUMN place text NOT NULL DEFAULT 'here', ADD COLUMN note text`;
    const [{ entities } = { entities: '' }] = await db.sql<{ entities: string }[]>`
      SELECT json_build_array(json_build_object('kind', 'worker', 'table', 'workers'))::text AS entities`;
    await db.sql`SELECT cellhouse_make_projections(${entities}::text::json)`;
    await db.sql`UPDATE workers SET place = 'there', note = 'seen' WHERE id = ${worker.id}`;
    const lost = await commitOne<'worker'>(old.store, onWorker(worker, workerLost()));
    const other = await commitOne<'worker'>(old.store, workerRequested());
    const rows = await db.sql`SELECT id, state, place, note FROM workers ORDER BY requested_at`;
    expect([...rows]).toEqual([
      { id: lost.id, state: 'LOST', place: 'there', note: 'seen' },
      { id: other.id, state: 'REQUESTED', place: 'here', note: null },
    ]);
  });
});
