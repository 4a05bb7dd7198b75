/** Backups of the embedded PostgreSQL, made while it serves and restored elsewhere. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { backupArguments, makeBackup, restoreBackup } from '../../src/cli/backup.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import { sealAll } from '../../src/events/chain/auditKeeper.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import type { Database } from '../../src/events/database.ts';
import { openDatabase } from '../../src/events/openDatabase.ts';
import { layoutOf } from '../../src/postgres/cluster.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { findClusterProcesses } from '../../src/postgres/server.ts';
import { lockDataDir } from '../../src/process/gatewayLock.ts';
import { newId } from '../../src/process/newId.ts';
import { commitOne, sessionOpened } from '../../testkit/events.ts';

const logger = pino({ level: 'silent' });
const parent = mkdtempSync(join(tmpdir(), 'cellhouse-backup-'));
const dataDir = join(parent, 'data');
const folder = join(parent, 'backups');

afterAll(async () => {
  for (const name of readdirSync(parent))
    await stopEmbeddedPostgres({ dataDir: join(parent, name), logger });
  rmSync(parent, { recursive: true, force: true });
});

const ensure = (dir = dataDir) => ensureEmbeddedPostgres({ dataDir: dir, logger });
const isRunning = () => findClusterProcesses(layoutOf(dataDir).data).postmaster !== null;
const backupAt = (time: string, keep: number | null = null) =>
  makeBackup({ dataDir, logLevel: 'fatal' }, { folder, keep }, new Date(time));

async function withDatabase<T>(dir: string, work: (database: Database) => Promise<T>): Promise<T> {
  const address = await ensure(dir);
  const database = await openDatabase(address, { gatewayId: newId<GatewayId>(), logger, newId });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** Opens sessions until `stop()`. `users` has the users whose sessions are stored so far. */
function openSessions({ store }: Database) {
  const users: string[] = [];
  let isOver = false;
  const opening = (async () => {
    while (!isOver) {
      const userUuid = `user-${users.length}`;
      await commitOne(store, sessionOpened({ userUuid }));
      users.push(userUuid);
    }
  })();
  return {
    users,
    stop: async () => {
      isOver = true;
      await opening;
    },
  };
}

describe('a backup', () => {
  it('made while commits go on has all commits from before it, and a chain without gaps', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'auth-token'), 'secret\n', { mode: 0o600 });
    const before = await withDatabase(dataDir, async (database) => {
      const opening = openSessions(database);
      await expect.poll(() => opening.users.length, { timeout: 20_000 }).toBeGreaterThan(150);
      const users = [...opening.users];
      await sealAll(database.queries, {
        gatewayId: database.gatewayId,
        pauses: 0,
        isOver: () => false,
      });
      const { path, bytes } = await backupAt('2026-01-01T00:00:00Z');
      expect(opening.users.length).toBeGreaterThan(users.length);
      await opening.stop();
      expect(path).toBe(join(folder, 'cellhouse-2026-01-01T00-00-00Z'));
      expect(bytes).toBeGreaterThan(16 * 1024 ** 2);
      return users;
    });
    expect(isRunning()).toBe(true);

    const other = join(parent, 'other');
    await restoreBackup(join(folder, 'cellhouse-2026-01-01T00-00-00Z'), other);
    expect(readFileSync(join(other, 'auth-token'), 'utf8')).toBe('secret\n');
    expect(existsSync(join(other, 'gateway-id'))).toBe(false);
    await withDatabase(other, async ({ queries }) => {
      const open = await queries.openSessions();
      const users = new Set(open.map(({ userUuid }) => userUuid));
      expect(before.filter((user) => !users.has(user))).toEqual([]);
    });
    const verified = await verifyChain(await ensure(other), []);
    expect(verified).toMatchObject({ findingCount: 0 });
    expect(verified.events).toBeGreaterThanOrEqual(before.length);
  });

  it('of a stopped server starts it, and stops it again', async () => {
    await stopEmbeddedPostgres({ dataDir, logger });
    await backupAt('2026-01-02T00:00:00Z');
    expect(isRunning()).toBe(false);
  });

  it('removes what an interrupted one left, and older ones only if it is told so', async () => {
    await ensure();
    const unfinished = join(folder, 'cellhouse-2026-01-02T12-00-00Z.unfinished');
    mkdirSync(unfinished);
    mkdirSync(join(folder, 'mine'));
    expect((await backupAt('2026-01-03T00:00:00Z')).removed).toEqual([]);
    expect(existsSync(unfinished)).toBe(false);
    const { removed } = await backupAt('2026-01-04T00:00:00Z', 2);
    expect(removed).toEqual(
      ['01', '02'].map((day) => join(folder, `cellhouse-2026-01-${day}T00-00-00Z`)),
    );
    expect(readdirSync(folder).sort()).toEqual([
      'cellhouse-2026-01-03T00-00-00Z',
      'cellhouse-2026-01-04T00-00-00Z',
      'mine',
    ]);
  });

  it('is refused while another one is being made, which is complete', async () => {
    const outcomes = await Promise.allSettled([
      backupAt('2026-01-05T00:00:00Z'),
      backupAt('2026-01-05T00:00:01Z'),
    ]);
    const made = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value.path] : []));
    const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(refused).toEqual([new Error('Another backup of this database is being made.')]);
    expect(made.map((path) => readdirSync(path).sort())).toEqual([
      ['auth-token', 'backup.json', 'postgres'],
    ]);
    rmSync(made[0] ?? '', { recursive: true });
  });

  it('is refused without a database, and leaves nothing', async () => {
    const empty = join(parent, 'empty');
    const target = join(parent, 'nothing');
    const made = makeBackup(
      { dataDir: empty, logLevel: 'fatal' },
      { folder: target, keep: null },
      new Date(),
    );
    await expect(made).rejects.toThrow(`There is no database in ${empty}`);
    expect(existsSync(target)).toBe(false);
  });
});

describe('a restore is refused', () => {
  const latest = join(folder, 'cellhouse-2026-01-04T00-00-00Z');

  it('if the backup is not complete', async () => {
    const half = join(parent, 'half');
    mkdirSync(half);
    await expect(restoreBackup(half, join(parent, 'new'))).rejects.toThrow('is no complete backup');
  });

  it('if the backup has no database, and then leaves no half one', async () => {
    const half = join(parent, 'hollow');
    mkdirSync(half);
    writeFileSync(join(half, 'backup.json'), '{}');
    const target = join(parent, 'new');
    await expect(restoreBackup(half, target)).rejects.toThrow('PG_VERSION');
    expect(existsSync(layoutOf(target).data)).toBe(false);
  });

  it('if another major version made it', async () => {
    const old = join(parent, 'old');
    mkdirSync(join(old, 'postgres'), { recursive: true });
    writeFileSync(join(old, 'backup.json'), '{}');
    writeFileSync(join(old, 'postgres/PG_VERSION'), '17\n');
    await expect(restoreBackup(old, join(parent, 'new'))).rejects.toThrow('made by PostgreSQL 17');
  });

  it('into a DATA_DIR that has a database', async () => {
    await expect(restoreBackup(latest, dataDir)).rejects.toThrow('There is a database in');
  });

  it('into a DATA_DIR whose gateway runs', async () => {
    const taken = join(parent, 'taken');
    mkdirSync(taken);
    const lock = await lockDataDir(taken);
    await expect(restoreBackup(latest, taken)).rejects.toThrow(
      'belongs to a gateway that is running',
    );
    await lock.release();
  });
});

it.each([
  [['--to', ''], '--to needs a folder'],
  [[], '--to needs a folder'],
  [['--to', 'x', '--keep', '0'], '--keep must be a whole number'],
  [['--into', 'x'], 'cellhouse --help'],
])('backup %j is refused', (words, message) => {
  expect(() => backupArguments(words)).toThrow(message);
});
