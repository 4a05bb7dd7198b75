/** The audit keeper seals events in the background, and copies the heads of closed days out of the database. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type AuditKeeper, createAuditKeeper } from '../../src/events/chain/auditKeeper.ts';
import { verifyChain } from '../../src/events/chain/verifyChain.ts';
import type { Database } from '../../src/events/database.ts';
import { auditHeadsPath, createAuditHeads, readAuditHeads } from '../../src/process/dataDir.ts';
import {
  becomesIdle,
  commitOne,
  executionRequested,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { addHistory, closeDay, seal } from '../support/auditChain.ts';
import { type TestDatabase, useDatabase } from '../support/database.ts';

const SEALER = new URL('../support/sealerProcess.mjs', import.meta.url).pathname;
const LIMIT_MS = 10_000;

let db: TestDatabase;
let gateway: Database;
beforeEach(async () => {
  db = await useDatabase(onTestFinished);
  gateway = await db.open();
});

function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'cellhouse-audit-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  return dataDir;
}

interface Kept {
  readonly keeper: AuditKeeper;
  readonly log: Record<string, unknown>[];
}

/** Starts a keeper with intervals of 20 ms, which are 10 s and 60 s in a gateway. */
function keep(database: Pick<Database, 'gatewayId' | 'leases' | 'queries'>, dataDir: string): Kept {
  const log: Record<string, unknown>[] = [];
  const lines = new Writable({
    write(line, _encoding, done) {
      log.push(JSON.parse(String(line)));
      done();
    },
  });
  const keeper = createAuditKeeper({
    database,
    heads: createAuditHeads(dataDir),
    logger: pino({ level: 'info' }, lines),
    sealIntervalMs: 20,
    pollIntervalMs: 20,
  });
  onTestFinished(() => keeper.close());
  keeper.start();
  return { keeper, log };
}

const unsealed = () => gateway.queries.unsealedEvents();
const untilSealed = () => until('all is sealed', async () => (await unsealed()) === 0, LIMIT_MS);
const linesOf = (dataDir: string) => readAuditHeads(auditHeadsPath(dataDir)).catch(() => []);
const untilNoted = (dataDir: string, count: number) =>
  until('heads are noted', async () => (await linesOf(dataDir)).length === count, LIMIT_MS);

describe('the audit keeper', () => {
  it('seals old and new events, and reports how many are not sealed yet', async () => {
    await addHistory(gateway, { executions: 300 });
    expect(await unsealed()).toBe(601);
    const { keeper } = keep(gateway, newDataDir());
    await untilSealed();
    await addHistory(gateway);
    await untilSealed();
    await until('the status follows', async () => keeper.status().unsealedEvents === 0, LIMIT_MS);
    expect(await verifyChain(db.address, [])).toMatchObject({ events: 608, findings: [] });
  });

  it('reports how many are not sealed also while sealing fails', async () => {
    await db.sql`ALTER FUNCTION cellhouse_seal RENAME TO mislaid_seal`;
    await addHistory(gateway);
    const { keeper } = keep(gateway, newDataDir());
    await until('the status says so', async () => keeper.status().unsealedEvents === 7, LIMIT_MS);
    await db.sql`ALTER FUNCTION mislaid_seal RENAME TO cellhouse_seal`;
    await until('the status follows', async () => keeper.status().unsealedEvents === 0, LIMIT_MS);
  });

  it('reports a round once, although neither the sealing nor the count succeeds', async () => {
    let rounds = 0;
    const unsealedEvents = () => {
      rounds += 1;
      return gateway.queries.unsealedEvents();
    };
    const { gatewayId, leases, queries } = gateway;
    await db.sql`ALTER TABLE chain_head RENAME TO mislaid_head`;
    const counting = { gatewayId, leases, queries: { ...queries, unsealedEvents } };
    const { keeper, log } = keep(counting, newDataDir());
    await until('some rounds have failed', async () => rounds >= 5, LIMIT_MS);
    await keeper.close();
    expect(log.length).toBeGreaterThan(0);
    expect(log.length).toBeLessThanOrEqual(rounds);
  });

  it('seals in one gateway only, and in another once the first has released the lease', async () => {
    const other = await db.open();
    const first = keep(gateway, newDataDir());
    await until('one has the lease', async () => gateway.leases.isHeld('audit'), LIMIT_MS);
    keep(other, newDataDir());
    await addHistory(gateway);
    await untilSealed();
    expect(other.leases.isHeld('audit')).toBe(false);
    await first.keeper.close();
    await gateway.leases.release('audit');
    await addHistory(other);
    await until(
      'the other one seals',
      async () => (await other.queries.unsealedEvents()) === 0,
      LIMIT_MS,
    );
    expect(other.leases.isHeld('audit')).toBe(true);
  });

  it('notes the head of each closed day in the log and in a file that only its owner may read', async () => {
    const dataDir = newDataDir();
    await addHistory(gateway);
    await closeDay(db, gateway, 2);
    const { log } = keep(gateway, dataDir);
    await untilNoted(dataDir, 2);
    await addHistory(gateway);
    await closeDay(db, gateway, 1);
    await untilNoted(dataDir, 3);
    const heads = await gateway.queries.auditHeads();
    expect(await linesOf(dataDir)).toHaveLength(3);
    expect((await linesOf(dataDir)).at(-1)?.head).toBe(heads.at(-1)?.head);
    expect(statSync(auditHeadsPath(dataDir)).mode & 0o777).toBe(0o600);
    const closed = log.filter(({ msg }) => msg === 'a day of the audit chain is closed');
    expect(closed.map(({ head }) => head)).toEqual(
      (await linesOf(dataDir)).map(({ head }) => head),
    );
  });

  it('goes on after a line that a killed gateway has left half written', async () => {
    const dataDir = newDataDir();
    await seal(gateway);
    writeFileSync(auditHeadsPath(dataDir), '{"chainId":"0197a000-00');
    keep(gateway, dataDir);
    await untilNoted(dataDir, 1);
    expect(readFileSync(auditHeadsPath(dataDir), 'utf8').split('\n')).toHaveLength(3);
  });

  it('reports heads in its file that differ from those in the database', async () => {
    const dataDir = newDataDir();
    await addHistory(gateway);
    await closeDay(db, gateway, 1);
    const heads = await gateway.queries.auditHeads();
    await createAuditHeads(dataDir).append(heads);
    await db.sql`UPDATE chain_days SET head = sha256(head) WHERE day <> '-infinity'`;
    appendFileSync(auditHeadsPath(dataDir), 'a line that is no head\n');
    const { keeper, log } = keep(gateway, dataDir);
    await until('it says so', async () => keeper.status().differingHeads === 1, LIMIT_MS);
    expect(log.filter(({ level }) => level === 50)).toMatchObject([
      { differing: 1, days: [heads.at(-1)?.day] },
    ]);
  });

  it('reports again when another day differs, even if the number of days is the same', async () => {
    const dataDir = newDataDir();
    await addHistory(gateway);
    await closeDay(db, gateway, 2);
    await addHistory(gateway);
    await closeDay(db, gateway, 1);
    const heads = await gateway.queries.auditHeads();
    await createAuditHeads(dataDir).append(heads);
    const [one, other] = heads.slice(-2).map(({ day }) => day);
    const change = (days: readonly (string | undefined)[]) => db.sql`
      UPDATE chain_days c SET head = CASE WHEN c.day::text = ANY (${days as string[]}::text[])
        THEN sha256(h.head) ELSE h.head END
      FROM heads_before h WHERE h.day = c.day`;
    await db.sql`CREATE TABLE heads_before AS SELECT day, head FROM chain_days`;
    await change([one]);
    const { log } = keep(gateway, dataDir);
    const reported = () => log.filter(({ level }) => level === 50).map(({ days }) => days);
    await until('it says so', async () => reported().length === 1, LIMIT_MS);
    await change([other]);
    await until('it says so again', async () => reported().length === 2, LIMIT_MS);
    expect(reported()).toEqual([[one], [other]]);
  });
});

describe('sealing', () => {
  it('numbers the events of each tenant without holes', async () => {
    await addHistory(gateway, { tenant: 'a' });
    await addHistory(gateway, { tenant: 'b' });
    await seal(gateway);
    await addHistory(gateway, { tenant: 'a' });
    await seal(gateway);
    const rows = await db.sql`
      SELECT tenant, count(*), min(number) AS first, max(number) AS last FROM event_links GROUP BY 1 ORDER BY 1`;
    expect(rows).toEqual([
      { tenant: 'a', count: 14, first: 1, last: 14 },
      { tenant: 'b', count: 7, first: 1, last: 7 },
    ]);
  });

  it('counts the events of a worker for no tenant until it is assigned, and then for the tenant of its session', async () => {
    const { store } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    await seal(gateway);
    const idle = await commitOne<'worker'>(store, onWorker(worker, ...becomesIdle()));
    const { id: sessionId } = await commitOne<'session'>(
      store,
      sessionOpened({ tenant: 'a', workerId: worker.id }),
    );
    const data = { at: new Date().toISOString(), sessionId };
    await commitOne(store, onWorker(idle, { type: 'WorkerAssigned', data }));
    await db.sql`UPDATE events SET stream_id = 'worker-of nobody' WHERE type = 'WorkerReady'`;
    await seal(gateway);
    const rows = await db.sql`SELECT tenant, number FROM event_links ORDER BY position`;
    expect(rows).toEqual([
      ...[1, 2, 3].map(() => ({ tenant: null, number: null })),
      { tenant: 'a', number: 1 },
      { tenant: 'a', number: 2 },
    ]);
  });

  it('closes a day with all that was recorded before midnight, and nothing else', async () => {
    await seal(gateway);
    await addHistory(gateway);
    await db.sql`UPDATE events SET recorded_at = recorded_at - interval '1 day' WHERE position <= 4`;
    await db.sql`UPDATE chain_head SET open_day = open_day - 1`;
    // Pages that end before, at and after midnight.
    for (let page = 0; page < 4; page += 1) await gateway.queries.sealEvents('g', 2);
    const days = await db.sql`SELECT position FROM chain_days ORDER BY position`;
    expect(days.map(({ position }) => position)).toEqual([0, 4]);
    expect(await verifyChain(db.address, await gateway.queries.auditHeads())).toMatchObject({
      events: 7,
      findings: [],
    });
  });

  it('seals at most 16 MiB of events in one page, and closes a day only when all its events are sealed', async () => {
    await seal(gateway);
    const MIB = 1024 * 1024;
    // Random, so that PostgreSQL cannot compress it.
    const code = (bytes: number) => randomBytes((bytes / 4) * 3).toString('base64');
    for (const bytes of [10 * MIB, 10 * MIB, 20 * MIB, 4, 4])
      await commitOne(gateway.store, executionRequested({ code: code(bytes) }));
    await db.sql`UPDATE chain_head SET open_day = open_day - 1`;
    await db.sql`UPDATE events SET recorded_at = recorded_at - interval '1 day'`;
    const page = async () => {
      const returned = await gateway.queries.sealEvents('g', 500);
      const [head] = await db.sql`
        SELECT position, (SELECT max(position) FROM chain_days) AS closed FROM chain_head`;
      return [returned, head?.position, head?.closed];
    };
    expect([await page(), await page(), await page()]).toEqual([
      [500, 2, 0],
      [500, 3, 0],
      [2, 5, 5],
    ]);
    expect(await verifyChain(db.address, await gateway.queries.auditHeads())).toMatchObject({
      events: 5,
      findings: [],
    });
  });

  it('warns once if the open day is in the future', async () => {
    await addHistory(gateway);
    await seal(gateway);
    await db.sql`UPDATE chain_head SET open_day = open_day + 400`;
    let polls = 0;
    const openDayAhead = () => {
      polls += 1;
      return gateway.queries.openDayAhead();
    };
    const { gatewayId, leases, queries } = gateway;
    const counting = { gatewayId, leases, queries: { ...queries, openDayAhead } };
    const { log } = keep(counting, newDataDir());
    await until('the warning', async () => log.some(({ openDay }) => openDay !== undefined));
    await addHistory(gateway);
    await untilSealed();
    const before = polls;
    await until('more polls', async () => polls >= before + 3, LIMIT_MS);
    expect(log.filter(({ openDay }) => openDay !== undefined)).toHaveLength(1);
  });

  it('closes a day once, although the clock goes back over midnight and several gateways see it end', async () => {
    await addHistory(gateway);
    await closeDay(db, gateway, 1);
    const before = await gateway.queries.auditHeads();
    // The clock is now a day behind the day that is open.
    await db.sql`UPDATE chain_head SET open_day = open_day + 1`;
    await addHistory(gateway);
    await Promise.all(Array.from({ length: 4 }, () => seal(gateway)));
    expect(await gateway.queries.auditHeads()).toEqual(before);
    await db.sql`UPDATE chain_head SET open_day = open_day - 2`;
    const pages = Array.from({ length: 8 }, () => gateway.queries.sealEvents('g', 500));
    expect(await Promise.all(pages)).toEqual(Array(8).fill(0));
    // The day was closed before. Closing it again does not replace its head.
    expect(await gateway.queries.auditHeads()).toEqual(before);
  });

  it('links every event, although sealers are killed and others write meanwhile', async () => {
    const stopped = new AbortController();
    const writing = Array.from({ length: 8 }, async () => {
      while (!stopped.signal.aborted) await addHistory(gateway, { executions: 2 });
    });
    for (let round = 0; round < 4; round += 1) {
      const children = Array.from({ length: 3 }, () =>
        spawn(process.execPath, [SEALER, JSON.stringify(db.address)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        }),
      );
      const sealed = children.map((child) =>
        once(createInterface({ input: child.stdout }), 'line'),
      );
      await Promise.all(sealed);
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children.map((child) => once(child, 'exit')));
    }
    stopped.abort();
    await Promise.all(writing);
    await seal(gateway);
    const [row] = await db.sql`SELECT count(*) FROM events`;
    expect(await verifyChain(db.address, await gateway.queries.auditHeads())).toMatchObject({
      events: row?.count,
      unsealed: 0,
      findings: [],
    });
  }, 60_000);
});
