/** What doctor finds of real faults: of a database, of folders, disks and ports, and of a proxy. No container is needed. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { askServer, checkDatabase, judgePool } from '../../src/doctor/database.ts';
import { examine } from '../../src/doctor/doctor.ts';
import { checkEngine } from '../../src/doctor/engine.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import {
  checkBackup,
  checkClock,
  checkDisks,
  checkHistory,
  checkPermissions,
} from '../../src/doctor/machine.ts';
import { checkProxy } from '../../src/doctor/proxy.ts';
import { chooseServerUser, SUPERUSER } from '../../src/postgres/cluster.ts';
import { recordBackup, recordLostHistory } from '../../src/process/dataDir.ts';
import { lockDataDir } from '../../src/process/gatewayLock.ts';
import { newId } from '../../src/process/newId.ts';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { db, start } = await useServiceGateways({ TRUSTED_PROXIES: '127.0.0.1' });
const gateway = await start();
const { port: gatewayPort } = await gateway.server.listen();
const TOKEN = 'a-token-for-tests';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ch-doctor-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const settings = (more: Record<string, string> = {}) => {
  const at = folder();
  return loadConfig({ DATA_DIR: join(at, 'data'), SOCKET_DIR: join(at, 's'), ...more });
};
const troubles = (findings: readonly Finding[]) =>
  findings.flatMap(({ check, state, trouble }) =>
    trouble === null ? [] : [[check, state, trouble]],
  );

async function listening(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Runs `ALTER DATABASE` on the database, for connections made from now on. @param change such as `SET name = value` */
async function alterDatabase({ sql }: Pick<TestDatabase, 'sql'>, change: string): Promise<void> {
  await sql.unsafe(
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I ${change}', current_database()); END $$`,
  );
}

describe('of the database, doctor finds', () => {
  it('nothing wrong, and that the clocks agree', async () => {
    const { findings, clock } = await askServer(db.address, 'PostgreSQL');
    expect(troubles(findings)).toEqual([]);
    expect(findings.map(({ check, state }) => [check, state])).toEqual([
      ['database', 'ok'],
      ['schema', 'ok'],
      ['tokens', 'ok'],
    ]);
    expect(troubles(await checkClock(clock))).not.toContainEqual([
      'clock',
      'failure',
      'clockDiffers',
    ]);
  });

  it('a clock that is an hour behind this machine', async () => {
    // In the search path, this function precedes PostgreSQL's own function of the same name.
    await db.sql.unsafe(`
      CREATE SCHEMA slow;
      CREATE FUNCTION slow.clock_timestamp() RETURNS timestamptz LANGUAGE sql
        AS $$ SELECT pg_catalog.clock_timestamp() - interval '1 hour' $$`);
    await alterDatabase(db, 'SET search_path = slow, pg_catalog, public');
    onTestFinished(async () => {
      await alterDatabase(db, 'RESET search_path');
      await db.sql.unsafe('DROP SCHEMA slow CASCADE');
    });
    const { clock } = await askServer(db.address, 'PostgreSQL');
    const [found] = await checkClock(clock);
    expect(found).toMatchObject({ state: 'failure', trouble: 'clockDiffers' });
    expect(found?.found).toMatch(/is 3[56]\d\d\.\d s ahead of the database's/);
  });

  it('how many tenants have tokens, and which quotas are set', async () => {
    const make = async (tenant: string, role: 'TENANT' | 'AUDITOR' = 'TENANT') =>
      await gateway.service.createToken(OPERATOR, {
        ...{ name: `of-${tenant}`, role, tenant, userUuid: null, userPrefix: null },
        ...{ door: null, expiresAt: null },
      });
    const limit = { kind: 'OPEN_SESSIONS', tenant: 'shop', userUuid: null } as const;
    const made = [await make('shop'), await make('shop'), await make('bank')];
    // With it, no code can be run.
    made.push(await make('books', 'AUDITOR'));
    await gateway.service.setQuota(OPERATOR, { ...limit, limit: 3 });
    const use = async () => (await askServer(db.address, 'PostgreSQL')).use;
    expect(await use()).toMatchObject({ tenants: 2, setQuotas: 1 });
    for (const { token } of made) await gateway.service.revokeToken(OPERATOR, token.id);
    await gateway.service.setQuota(OPERATOR, { ...limit, reset: true });
    expect(await use()).toMatchObject({ tenants: 0, setQuotas: 0 });
  });

  it('a token that expires tomorrow', async () => {
    const expiresAt = new Date(Date.now() + 86_400_000);
    const { token } = await gateway.service.createToken(OPERATOR, {
      ...{ name: 'laptop', role: 'TENANT', tenant: null, userUuid: null, userPrefix: null },
      ...{ door: null, expiresAt },
    });
    const { findings } = await askServer(db.address, 'PostgreSQL');
    expect(troubles(findings)).toEqual([['tokens', 'warning', 'tokenExpires']]);
    expect(findings.at(-1)?.found).toContain(`laptop (${token.id}) expires at `);
    await gateway.service.revokeToken(OPERATOR, token.id);
    expect(troubles((await askServer(db.address, 'PostgreSQL')).findings)).toEqual([]);
  });

  it('that it only allows reading', async () => {
    await alterDatabase(db, 'SET default_transaction_read_only = on');
    const { findings } = await askServer(db.address, 'PostgreSQL');
    await db.sql.unsafe('SET default_transaction_read_only = off');
    await alterDatabase(db, 'RESET default_transaction_read_only');
    expect(troubles(findings)).toEqual([['database', 'failure', 'databaseUnready']]);
  });

  it.skipIf(process.getuid?.() !== 0)('that its disk is full, although it answers', async () => {
    const own = await useDatabase(onTestFinished);
    const disk = folder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
    onTestFinished(() => void execFileSync('umount', [disk]));
    const { uid, gid } = chooseServerUser(disk) ?? {};
    if (uid !== undefined && gid !== undefined) chownSync(disk, uid, gid);
    // The temporary tables of this database are on that disk.
    const asSuperuser = (text: string) =>
      onServer({ ...inject('database'), username: SUPERUSER }, (sql) => sql.unsafe(text));
    await asSuperuser(`CREATE TABLESPACE full_disk LOCATION '${disk}'`);
    onTestFinished(async () => void (await asSuperuser('DROP TABLESPACE full_disk')));
    await asSuperuser('GRANT CREATE ON TABLESPACE full_disk TO PUBLIC');
    await alterDatabase(own, 'SET temp_tablespaces = full_disk');
    const { findings } = await askServer(own.address, 'PostgreSQL');
    expect(troubles(findings)).toEqual([['database', 'failure', 'databaseTakesNoWrites']]);
    expect(findings[0]?.found).toContain('No space left on device');
  });

  it('that one tenant has all workers while calls wait', async () => {
    const use = (waitingCalls: number) => ({
      sessions: new Map([
        ['shop', 1],
        ['jobs', 5],
      ]),
      waitingCalls,
    });
    expect(judgePool(use(7), 6)).toMatchObject({
      ...{ check: 'pool', state: 'warning', trouble: 'poolFull' },
      found: 'All 6 workers have sessions, 5 of them of tenant jobs, and 7 calls wait',
    });
    expect(judgePool(use(7), 7)).toMatchObject({ state: 'ok' });
    expect(judgePool(use(0), 6)).toMatchObject({ state: 'ok' });
    // Only gateways that live count.
    const own = await useDatabase(onTestFinished);
    const living = newId();
    const asked = async () => (await askServer(own.address, 'PostgreSQL')).use;
    const nobody = { sessions: new Map(), waitingCalls: 0, tenants: 0, setQuotas: 0 };
    expect(await asked()).toEqual({ ...nobody, runtimes: new Map() });
    await own.sql`INSERT INTO leases (name, holder, epoch, expires_at)
      VALUES (${`gateway-${living}`}, ${living}, 1, now() + interval '1 minute')`;
    await own.sql`INSERT INTO waiting_requests (gateway_id, count, tenants)
      VALUES (${living}, 3, '{}'), (gen_random_uuid(), 4, '{}')`;
    expect(await asked()).toMatchObject({ waitingCalls: 3 });
  });

  it('a transaction that keeps others waiting', async () => {
    const own = await useDatabase(onTestFinished);
    const locked = own.sql.begin(async (sql) => {
      await sql`LOCK TABLE events`;
      const { pid } = (await sql`SELECT pg_backend_pid() AS pid`)[0] ?? {};
      // It counts when it is 5 s old.
      await sql`SELECT pg_sleep(5.5)`;
      const waiting = own.sql`SELECT count(*) FROM events`.execute();
      const found = await until('doctor finds it', async () => {
        const { findings } = await askServer(own.address, 'PostgreSQL');
        return findings.find(({ trouble }) => trouble === 'databaseBlocked');
      });
      return { pid, waiting, found };
    });
    const { pid, waiting, found } = await locked;
    expect(found).toMatchObject({ check: 'database', state: 'failure' });
    expect(found.found).toContain(`PostgreSQL's process ${pid} (role `);
    await waiting;
    expect(troubles((await askServer(own.address, 'PostgreSQL')).findings)).toEqual([]);
  });

  it('that a later release has migrated it', async () => {
    const own = await useDatabase(onTestFinished);
    await own.sql`INSERT INTO schema_versions (version, compatible_from) VALUES (100000, 100000)`;
    const { findings } = await askServer(own.address, 'PostgreSQL');
    expect(troubles(findings)).toEqual([['schema', 'failure', 'tooOld']]);
  });

  it('that it is there, but refuses a query, and does not ask tables of an older release', async () => {
    const own = await useDatabase(onTestFinished);
    await own.sql`ALTER TABLE tokens RENAME TO tokens_away`;
    await expect(askServer(own.address, 'PostgreSQL')).rejects.toThrow('"tokens" does not exist');
    await own.sql.unsafe(`UPDATE schema_versions SET version = 1, compatible_from = 1
      WHERE version = (SELECT max(version) FROM schema_versions)`);
    const { findings } = await askServer(own.address, 'PostgreSQL');
    expect(findings.map(({ check, state }) => [check, state])).toEqual([
      ['database', 'ok'],
      ['schema', 'ok'],
      ['tokens', 'unknown'],
    ]);
  });

  it('that nobody listens, or that nobody answers, within its time', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => undefined));
    const ports = [1, await listening(silent)];
    const startedAt = performance.now();
    const reports = await Promise.all(
      ports.map((port) =>
        checkDatabase(settings({ DATABASE_URL: `postgres://a:b@127.0.0.1:${port}/c` }), true),
      ),
    );
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    for (const { findings } of reports) {
      expect(troubles(findings)).toEqual([['database', 'failure', 'databaseAway']]);
      expect(JSON.stringify(findings)).not.toContain('a:b');
    }
  });

  it('that the folder of the embedded one is open to others', async () => {
    const config = settings();
    const cluster = join(config.dataDir, 'postgres/data');
    mkdirSync(cluster, { recursive: true, mode: 0o700 });
    // Root's PostgreSQL runs as another user, who must be the owner.
    if (process.getuid?.() === 0) execFileSync('chown', ['nobody', cluster]);
    expect(troubles((await checkDatabase(config, false)).findings)).toEqual([]);
    expect(troubles((await checkDatabase(config, true)).findings)).toEqual([
      ['database', 'failure', 'embeddedDied'],
    ]);
    chmodSync(cluster, 0o755);
    expect(troubles((await checkDatabase(config, false)).findings)).toEqual([
      ['database', 'failure', 'embeddedFiles'],
    ]);
  });
});

describe('of the machine, doctor finds', () => {
  it('a DATA_DIR and a token that others may use', async () => {
    const config = settings();
    expect(troubles(await checkPermissions(config))).toEqual([]);
    mkdirSync(config.dataDir, { mode: 0o711 });
    const token = join(config.dataDir, 'auth-token');
    writeFileSync(token, 'secret', { mode: 0o600 });
    expect(troubles(await checkPermissions(config))).toEqual([]);
    chmodSync(token, 0o644);
    chmodSync(config.dataDir, 0o777);
    const found = await checkPermissions(config);
    expect(troubles(found)).toEqual([
      ['permissions', 'failure', 'openToOthers'],
      ['permissions', 'failure', 'openToOthers'],
    ]);
    expect(found.map((each) => each.found)).toEqual([
      `DATA_DIR (${config.dataDir}) is open to other users: its mode is 0777`,
      `${token} is open to other users: its mode is 0644`,
    ]);
  });

  it('a DATA_DIR that cannot be used', async () => {
    const config = settings();
    writeFileSync(config.dataDir, '');
    const below = { ...config, dataDir: join(config.dataDir, 'below') };
    expect(troubles(await checkPermissions(below))).toEqual([
      ['permissions', 'failure', 'notWritable'],
    ]);
  });

  it.skipIf(process.getuid?.() !== 0)('a full disk', async () => {
    const config = settings();
    mkdirSync(config.dataDir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=210m', 'tmpfs', config.dataDir]);
    onTestFinished(() => void execFileSync('umount', [config.dataDir]));
    expect(troubles(await checkDisks(config, null))).toEqual([['disks', 'warning', 'diskLow']]);
    const fill = () => writeFileSync(join(config.dataDir, 'large'), Buffer.alloc(220 * 1024 ** 2));
    expect(fill).toThrow('ENOSPC');
    const found = await checkDisks(config, null);
    expect(troubles(found)).toEqual([['disks', 'failure', 'diskFull']]);
    expect(found[0]?.found).toBe(`The disk of DATA_DIR (${config.dataDir}) is full: 0 MiB free`);
  });

  it.skipIf(process.getuid?.() !== 0)('no need for a large disk beside a database', async () => {
    const config = settings({ DATABASE_URL: 'postgres://a@127.0.0.1:1/b' });
    mkdirSync(config.dataDir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', config.dataDir]);
    onTestFinished(() => void execFileSync('umount', [config.dataDir]));
    expect(troubles(await checkDisks(config, null))).toEqual([]);
  });

  it('that the database was never backed up, or not for two days', async () => {
    const config = settings();
    const now = new Date('2027-01-10T12:00:00Z');
    const made = (day: number) =>
      recordBackup(config.dataDir, {
        path: `/backups/${day}`,
        madeAt: new Date(Date.UTC(2027, 0, day, 3)),
      });
    expect(checkBackup(config, now)).toMatchObject({ state: 'warning', trouble: 'backupNone' });
    mkdirSync(config.dataDir);
    made(8);
    expect(checkBackup(config, now)).toMatchObject({
      ...{ state: 'warning', trouble: 'backupOld' },
      found: 'The last backup is 57 h old: /backups/8',
    });
    made(10);
    expect(checkBackup(config, now)).toMatchObject({ state: 'ok' });
    const own = { ...config, databaseUrl: 'postgres://a@127.0.0.1:1/b' };
    expect(checkBackup(own, now)).toMatchObject({ state: 'unknown' });
  });

  it('that a gateway saw events which the database has lost', () => {
    const { dataDir } = settings();
    mkdirSync(dataDir);
    expect(checkHistory(dataDir)).toMatchObject({ state: 'ok' });
    const foundAt = new Date('2027-01-08T03:00:00Z');
    recordLostHistory(dataDir, { message: 'No event 7.', foundAt });
    const file = join(dataDir, 'lost-history');
    expect(checkHistory(dataDir)).toMatchObject({
      ...{ state: 'warning', trouble: 'lostHistory' },
      found: `A gateway found on 2027-01-08T03:00:00.000Z that the database has lost events (file ${file}): No event 7.`,
    });
    rmSync(file);
    expect(checkHistory(dataDir)).toMatchObject({ state: 'ok' });
  });

  it('an engine that is away, or hangs, within its time', async () => {
    const at = folder();
    const silent = net.createServer((socket) => socket.on('error', () => undefined));
    silent.listen(join(at, 'hangs.sock'));
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const startedAt = performance.now();
    for (const name of ['hangs.sock', 'none.sock']) {
      const { findings, engine } = await checkEngine(
        settings({ DOCKER_HOST: `unix://${at}/${name}` }),
      );
      expect(engine).toBeNull();
      expect(troubles(findings)).toEqual([['engine', 'failure', 'engineAway']]);
    }
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });

  it('a gateway that hangs, or that this user cannot ask, and says of its port only what it knows', async () => {
    const port = await listening(net.createServer());
    const config = settings({
      ...{ PORT: String(port), DATABASE_URL: 'postgres://a@127.0.0.1:1/b' },
      DOCKER_HOST: `unix://${folder()}/none.sock`,
    });
    const gatewayAndPort = async () => {
      const findings = await examine({
        ...{ config, workerImage: 'x', proxy: null, gatewayUrl: `http://127.0.0.1:${port}` },
        logger: pino({ level: 'silent' }),
      });
      return findings.slice(0, 2).map(({ check, state, trouble }) => [check, state, trouble]);
    };
    mkdirSync(config.dataDir);
    const silent = net.createServer((socket) => socket.on('error', () => undefined));
    silent.listen(join(config.dataDir, 'gateway.sock'));
    await once(silent, 'listening');
    expect(await gatewayAndPort()).toEqual([
      ['gateway', 'failure', 'gatewaySilent'],
      ['port', 'unknown', null],
    ]);
    silent.close();
    // DATA_DIR is now a file, so its socket cannot be reached. EACCES has the same effect, but root never gets it.
    rmSync(config.dataDir, { recursive: true });
    writeFileSync(config.dataDir, '');
    expect(await gatewayAndPort()).toEqual([
      ['gateway', 'unknown', null],
      ['port', 'unknown', null],
    ]);
  });

  it.each([
    [{ status: 'ready' }, 'failure', 'gatewaySilent', 'what answers there is no gateway'],
    [{ status: 'not ready', reasons: ['It stops.'] }, 'failure', 'gatewayNotReady', 'It stops.'],
    [{ status: 'degraded', reasons: ['No disk.'] }, 'warning', 'gatewayDegraded', 'No disk.'],
    [{ status: 'ready', reasons: [] }, 'ok', null, 'is ready'],
  ])('what a server means that answers /readyz with %j', async (said, state, trouble, words) => {
    const other = createServer((_req, res) => res.end(JSON.stringify(said)));
    const port = await listening(other);
    const config = settings({
      ...{ PORT: String(port), DATABASE_URL: 'postgres://a@127.0.0.1:1/b' },
      DOCKER_HOST: `unix://${folder()}/none.sock`,
    });
    mkdirSync(config.dataDir);
    const lock = await lockDataDir(config.dataDir);
    onTestFinished(() => lock.release());
    const findings = await examine({
      ...{ config, workerImage: 'x', proxy: null, gatewayUrl: `http://127.0.0.1:${port}` },
      logger: pino({ level: 'silent' }),
    });
    expect(findings[0]).toMatchObject({ check: 'gateway', state, trouble });
    expect(findings[0]?.found).toContain(words);
  });

  it('an address that is not of this machine', async () => {
    const config = settings({
      ...{ HOST: '192.0.2.1', DATABASE_URL: 'postgres://a@127.0.0.1:1/b' },
      DOCKER_HOST: `unix://${folder()}/none.sock`,
    });
    const findings = await examine({
      ...{ config, workerImage: 'x', proxy: null, gatewayUrl: 'http://192.0.2.1:3874' },
      logger: pino({ level: 'silent' }),
    });
    const found = findings.filter(({ check }) => ['port', 'host'].includes(check));
    expect(troubles(found)).toEqual([
      ['port', 'failure', 'portRefused'],
      ['host', 'warning', 'hostOpen'],
    ]);
  });

  it('a port that another process has, and leaves nothing behind', async () => {
    const port = await listening(net.createServer());
    const config = settings({
      ...{ PORT: String(port), DATABASE_URL: 'postgres://a@127.0.0.1:1/b' },
      DOCKER_HOST: `unix://${folder()}/none.sock`,
    });
    const findings = await examine({
      ...{ config, workerImage: 'x', proxy: null, gatewayUrl: `http://127.0.0.1:${port}` },
      logger: pino({ level: 'silent' }),
    });
    expect(troubles(findings.filter(({ state }) => state === 'failure'))).toEqual([
      ['port', 'failure', 'portTaken'],
      ['engine', 'failure', 'engineAway'],
      ['database', 'failure', 'databaseAway'],
    ]);
    expect(findings.find(({ check }) => check === 'port')?.found).toContain(
      `process ${process.pid} (`,
    );
    expect([config.dataDir, config.socketDir].filter(existsSync)).toEqual([]);
  });
});

type Fault = 'host' | 'upgrade' | 'buffering' | 'silence' | 'address' | 'size' | 'storing';
/** Less than the 300 ms after which a gateway in a test sends something on a silent stream. */
const SILENCE_MS = 150;

/** A proxy in front of the gateway that does all that it should, except for `fault`. */
async function startProxy(fault: Fault | null): Promise<string> {
  const headersOf = (req: IncomingMessage) => ({
    ...req.headers,
    ...(fault === 'host' && { host: 'internal:3874' }),
    ...(fault !== 'address' && { 'x-forwarded-for': req.socket.remoteAddress }),
  });
  const options = (req: IncomingMessage) => ({
    ...{ host: '127.0.0.1', port: gatewayPort, method: req.method, path: req.url },
    headers: headersOf(req),
  });
  const serve = (req: IncomingMessage, res: ServerResponse) => {
    if (fault === 'size' && Number(req.headers['content-length']) > 1_000_000) {
      res.writeHead(413).end('too large');
      return;
    }
    const upstream = request(options(req), (answer) => {
      if (fault !== 'buffering') {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
        if (fault !== 'silence') return;
        const timer = setTimeout(() => res.destroy(), SILENCE_MS);
        answer.on('data', () => timer.refresh()).on('end', () => clearTimeout(timer));
        return;
      }
      const parts: Buffer[] = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => res.writeHead(answer.statusCode ?? 502).end(Buffer.concat(parts)));
    });
    upstream.on('error', () => res.destroy());
    res.on('close', () => upstream.destroy());
    if (fault === 'storing') {
      const parts: Buffer[] = [];
      req.on('data', (part) => parts.push(part));
      req.on('end', () => upstream.end(Buffer.concat(parts)));
    } else {
      upstream.flushHeaders();
      req.pipe(upstream);
    }
  };
  const proxy = createServer(serve);
  if (fault !== 'upgrade')
    proxy.on('upgrade', (req, socket) => {
      const upstream = request(options(req));
      upstream.on('upgrade', (answer, behind) => {
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n${rawHeaders(answer)}\r\n`);
        behind.pipe(socket).pipe(behind);
        for (const side of [behind, socket]) side.on('error', () => side.destroy());
      });
      upstream.on('response', (answer) => socket.end(`HTTP/1.1 ${answer.statusCode} No\r\n\r\n`));
      upstream.on('error', () => socket.destroy());
      upstream.end();
    });
  proxy.on('clientError', (_error, socket) => socket.destroy());
  const port = await listening(proxy);
  onTestFinished(() => proxy.closeAllConnections());
  return `http://127.0.0.1:${port}`;
}

function rawHeaders({ rawHeaders: raw }: IncomingMessage): string {
  return raw.map((part, at) => (at % 2 === 0 ? `${part}: ` : `${part}\r\n`)).join('');
}

describe('of a proxy, doctor finds', () => {
  const check = (url: string, token: string | Error = TOKEN) =>
    checkProxy({ url, token, config: { maxFileBytes: 1_073_741_824 } });

  it('that nothing is wrong with a good one, or with none', async () => {
    for (const url of [await startProxy(null), `http://127.0.0.1:${gatewayPort}`]) {
      const findings = await check(url);
      expect(findings.map(({ check: id, state, found }) => [id, state, found])).toEqual([
        ['proxy', 'ok', expect.any(String)],
        ['proxy-tls', 'ok', expect.any(String)],
        ['proxy-websocket', 'ok', expect.any(String)],
        ['proxy-host', 'ok', expect.any(String)],
        ['proxy-stream', 'ok', expect.any(String)],
        ['proxy-address', 'ok', expect.any(String)],
        ['proxy-uploads', 'ok', expect.any(String)],
      ]);
    }
  });

  it('each of its faults', async () => {
    const expected = {
      host: ['proxy-host', 'failure', 'proxyHost'],
      upgrade: ['proxy-websocket', 'failure', 'proxyUpgrade'],
      buffering: ['proxy-stream', 'failure', 'proxyBuffers'],
      silence: ['proxy-stream', 'failure', 'proxyTimeout'],
      address: ['proxy-address', 'failure', 'proxyAddress'],
      size: ['proxy-uploads', 'failure', 'proxyUploads'],
      storing: ['proxy-uploads', 'warning', 'proxyStores'],
    } as const satisfies Record<Fault, unknown>;
    const urls = new Map<string, string>();
    for (const fault of Object.keys(expected)) urls.set(fault, await startProxy(fault as Fault));
    const found = await Promise.all(
      [...urls].map(async ([fault, url]) => [fault, troubles(await check(url))]),
    );
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(Object.entries(expected).map(([fault, one]) => [fault, [one]])),
    );
  });

  it('that no gateway is behind it', async () => {
    const other = createServer((_req, res) => res.writeHead(502).end('Bad gateway'));
    const [first, ...rest] = await check(`http://127.0.0.1:${await listening(other)}`);
    expect(first).toMatchObject({ state: 'failure', trouble: 'proxyDown' });
    expect(first?.found).toContain('status 502');
    expect(new Set(rest.map(({ state }) => state))).toEqual(new Set(['unknown']));
    expect(troubles(await check('http://127.0.0.1:1'))).toEqual([
      ['proxy', 'failure', 'proxyDown'],
    ]);
  });

  it('nothing of streams without a token', async () => {
    const stream = async (token: string | Error) =>
      (await check(`http://127.0.0.1:${gatewayPort}`, token)).find(
        ({ check: id }) => id === 'proxy-stream',
      );
    const expected = { check: 'proxy-stream', state: 'unknown' };
    expect(await stream('wrong')).toMatchObject(expected);
    const without = await stream(new Error('AUTH_TOKEN is wrong.'));
    expect(without).toMatchObject(expected);
    expect(without?.found).toContain('AUTH_TOKEN is wrong.');
  });
});
