/** The life of the embedded PostgreSQL, with real processes in folders below a 0700 folder as `mktemp -d` makes it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import postgres from 'postgres';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { layoutOf } from '../../src/postgres/cluster.ts';
import {
  ensureEmbeddedPostgres,
  type SocketAddress,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { findClusterProcesses, isAlive } from '../../src/postgres/server.ts';

const logger = pino({ level: 'silent' });
const parent = mkdtempSync(join(tmpdir(), 'cellhouse-embedded-'));
/** Most tests share one cluster, since making one takes seconds. */
const dataDir = join(parent, 'data');

afterAll(async () => {
  for (const name of readdirSync(parent)) {
    await stopEmbeddedPostgres({ dataDir: join(parent, name), logger });
  }
  rmSync(parent, { recursive: true, force: true });
});

const ensure = (dir = dataDir) => ensureEmbeddedPostgres({ dataDir: dir, logger });
const stop = () => stopEmbeddedPostgres({ dataDir, logger });
const cluster = () => join(dataDir, 'postgres/data');
const postmaster = () => findClusterProcesses(cluster()).postmaster ?? -1;

async function query<T>(address: SocketAddress, text: string): Promise<T[]> {
  const sql = postgres({ ...address, max: 1 });
  try {
    return [...(await sql.unsafe<T[]>(text))];
  } finally {
    // Without a limit, `end()` waits for ever if the server was killed.
    await sql.end({ timeout: 1 });
  }
}

/** Every process of the server: the postmaster and its children. */
function serverProcesses(): number[] {
  const pid = postmaster();
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
  return [pid, ...children.trim().split(/\s+/).map(Number)];
}

/** Resolves when the processes are gone, since a signal takes effect only after kill() has returned. */
async function killAll(pids: number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await expect.poll(() => pids.filter((pid) => existsSync(`/proc/${pid}/cwd/.`))).toEqual([]);
}

describe('a fresh start', () => {
  it('makes a UTF-8 database that belongs to a role without superuser rights', async () => {
    const rows = await query(
      await ensure(),
      `SELECT current_database() AS database, current_setting('server_encoding') AS encoding, upper('é') AS upper,
              rolsuper AS super FROM pg_roles WHERE rolname = current_user`,
    );
    expect(rows).toEqual([{ database: 'cellhouse', encoding: 'UTF8', upper: 'É', super: false }]);
  });

  it('makes data and socket accessible to their owner only', async () => {
    await ensure();
    expect(statSync(cluster()).mode & 0o077).toBe(0);
    expect(statSync(join(dataDir, 'postgres/run')).mode & 0o077).toBe(0);
  });

  it('gives the server a process session of its own', async () => {
    await ensure();
    const session = execFileSync('ps', ['-o', 'sid=', '-p', String(postmaster())], {
      encoding: 'utf8',
    });
    expect(Number(session)).toBe(postmaster());
  });

  it('makes a cluster even after a killed initdb, and removes what that left', async () => {
    const fresh = join(parent, 'half-way');
    const unfinished = join(fresh, 'postgres/data.new-999999999-x');
    mkdirSync(join(unfinished, 'base'), { recursive: true });
    await ensure(fresh);
    expect(existsSync(unfinished)).toBe(false);
  });

  it('puts the socket of a very long DATA_DIR into a folder with a short path, and follows no link there', async () => {
    const long = join(parent, 'x'.repeat(120));
    expect(await query(await ensure(long), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await stopEmbeddedPostgres({ dataDir: long, logger });
    // Every user may create something in that folder.
    const { socketDir } = layoutOf(long);
    const target = join(parent, 'target');
    mkdirSync(target);
    chmodSync(target, 0o755);
    symlinkSync(target, socketDir);
    onTestFinished(() => rmSync(socketDir));
    await expect(ensure(long)).rejects.toThrow(`${socketDir} is not a folder`);
    expect(statSync(target).mode & 0o777).toBe(0o755);
  });

  it('starts one server for several callers at the same time', async () => {
    const fresh = join(parent, 'contended');
    const [one, two] = await Promise.all([ensure(fresh), ensure(fresh)]);
    expect(one).toEqual(two);
    const start = 'SELECT pg_postmaster_start_time()::text AS at';
    expect(await query(one, start)).toEqual(await query(two, start));
  });
});

describe('a later start', () => {
  it('uses the server that is running', async () => {
    await ensure();
    const before = postmaster();
    await ensure();
    expect(postmaster()).toBe(before);
  });

  it('begins a new log if the old one is large, and keeps the old one', async () => {
    await ensure();
    await stop();
    const log = join(dataDir, 'postgres/server.log');
    writeFileSync(log, 'x'.repeat(10 * 1024 ** 2 + 1));
    await ensure();
    expect(statSync(`${log}.old`).size).toBe(10 * 1024 ** 2 + 1);
    expect(readFileSync(log, 'utf8')).toContain('starting PostgreSQL');
    await stop();
    await ensure();
    expect(readFileSync(log, 'utf8').match(/starting PostgreSQL/g)).toHaveLength(2);
  });

  it('recovers what was committed when every process of the server was killed', async () => {
    await query(await ensure(), 'CREATE TABLE kept AS SELECT 42 AS answer');
    await killAll(serverProcesses());
    expect(await query(await ensure(), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('ends processes that a killed postmaster left behind', async () => {
    const address = await ensure();
    const busy = query(address, 'SELECT count(*) FROM generate_series(1, 1e12)').catch(
      (e: unknown) => e,
    );
    const seen = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%1e12)' AND state = 'active'`;
    await expect.poll(() => query(address, seen)).toHaveLength(1);
    await killAll([postmaster()]);
    expect(await query(await ensure(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await busy).toBeInstanceOf(Error);
  });

  it('is not misled by a stale pid file and socket whose process id another process has now', async () => {
    const address = await ensure();
    const { uid, gid } = statSync(cluster());
    await killAll(serverProcesses());
    const stranger = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid, gid } : {});
    await once(stranger, 'spawn');
    for (const file of [join(cluster(), 'postmaster.pid'), lockOf(address)]) {
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^\d+/, String(stranger.pid)));
    }
    expect(await query(await ensure(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(stranger.kill()).toBe(true);
  });

  it('reports the server’s own message when the server cannot start', async () => {
    await ensure();
    await stop();
    const settings = join(cluster(), 'postgresql.conf');
    const good = readFileSync(settings);
    writeFileSync(settings, 'no_such_setting = 1\n');
    await expect(ensure()).rejects.toThrow(/did not start \(exit code 1\)[\s\S]*no_such_setting/);
    writeFileSync(settings, good);
  });

  it('refuses a cluster of another major version', async () => {
    await ensure();
    await stop();
    const version = join(cluster(), 'PG_VERSION');
    const made = readFileSync(version);
    writeFileSync(version, '15\n');
    await expect(ensure()).rejects.toThrow(/was made by PostgreSQL 15/);
    writeFileSync(version, made);
  });
});

describe('finding the processes of a server', () => {
  it('does not mistake a child that has not yet renamed itself for the postmaster', async () => {
    const folder = mkdtempSync(join(parent, 'forked-'));
    // A forked subshell has its parent's command line, too.
    const first = spawn('bash', ['-c', '(sleep 600; true) & echo forked; wait'], {
      argv0: 'postgres',
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(first.stdout, 'data');
    const found = findClusterProcesses(folder);
    process.kill(-(first.pid ?? 0), 'SIGKILL');
    expect(found).toEqual({ postmaster: first.pid, survivors: [] });
  });
});

describe('stopping', () => {
  it('ends every process, and returns whether there was a server', async () => {
    await ensure();
    const pids = serverProcesses();
    expect(await stop()).toBe(true);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await stop()).toBe(false);
  });

  it('finds no server for a folder without one', async () => {
    expect(await stop()).toBe(false);
  });
});

function lockOf(address: SocketAddress): string {
  return join(address.host, '.s.PGSQL.5432.lock');
}
