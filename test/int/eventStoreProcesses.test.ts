/**
 * The event store under all faults at once: 16 writers in four processes and a reader use one server, while connections
 * are cut in the middle of commits, answers are lost, the server is restarted, and the server ends every connection.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import { createClient } from '../../src/events/connection/client.ts';
import type { Database } from '../../src/events/database.ts';
import { openDatabase } from '../../src/events/openDatabase.ts';
import {
  ensureEmbeddedPostgres,
  type SocketAddress,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { newId } from '../../src/process/newId.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';
import { makeOwnedFolder } from '../support/provideDatabase.ts';

const PROCESSES = 4;
const WRITERS_EACH = 4;
const COMMITS_EACH = 60;
const EVENTS = PROCESSES * WRITERS_EACH * COMMITS_EACH * 2;
const TIMEOUT_MS = 60_000;
const WRITER = new URL('../support/writerProcess.mjs', import.meta.url).pathname;

interface Acknowledged {
  readonly eventIds: readonly string[];
  readonly positions: readonly number[];
}

const logger = pino({ level: 'silent' });
const dataDir = makeOwnedFolder();
let address: SocketAddress;
let proxy: DatabaseProxy;
let reader: Database;
beforeAll(async () => {
  // The test has its own server, since it restarts the server.
  address = await ensureEmbeddedPostgres({ dataDir, logger });
  proxy = await createDatabaseProxy(address);
  reader = await openDatabase(address, { gatewayId: newId(), logger, newId });
});
afterAll(async () => {
  await reader.close();
  await proxy.close();
  await stopEmbeddedPostgres({ dataDir, logger });
  rmSync(dataDir, { recursive: true, force: true });
});

interface Writers {
  /** Lets the writers begin; resolves when they are done. */
  run(): Promise<void>;
}

/** Starts one process of writers, connected through the proxy. `onLine` gets each acknowledged commit. */
async function openWriters(onLine: (line: Acknowledged) => void): Promise<Writers> {
  const args = [JSON.stringify(proxy.address), String(WRITERS_EACH), String(COMMITS_EACH)];
  const child = spawn(process.execPath, [WRITER, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const [first] = await Promise.race([once(lines, 'line'), exited]);
  expect(first).toBe('open');
  lines.on('line', (line) => onLine(JSON.parse(line) as Acknowledged));
  return {
    run: async () => {
      const closed = once(lines, 'close');
      child.stdin.write('write\n');
      const [[code]] = await Promise.all([exited, closed]);
      expect(code).toBe(0);
    },
  };
}

it('every acknowledged commit is stored once, at its positions, and a reader sees each event once, in order', {
  timeout: TIMEOUT_MS,
}, async () => {
  const acknowledged: Acknowledged[] = [];
  const heard: RecordedEvent[] = [];
  reader.wakeUps.onEvent((event) => heard.push(event));
  /** Each kind of harm, and after how many acknowledged commits it happens. */
  const harms = new Map<number, () => Promise<void> | void>([
    [100, () => proxy.cut()],
    [200, () => proxy.loseNextAnswer()],
    [300, () => proxy.loseNextCommit()],
    [400, restartServer],
    [500, endConnections],
    [600, () => proxy.loseNextAnswer()],
    [700, () => proxy.cut()],
  ]);
  const harmed: Promise<void>[] = [];
  const onLine = (line: Acknowledged) => {
    acknowledged.push(line);
    const harm = harms.get(acknowledged.length);
    if (harm) harmed.push(Promise.resolve(harm()));
  };
  const processes = Array.from({ length: PROCESSES }, () => openWriters(onLine));
  // All are connected before the first harm, since the test is about commits and not about opening a database.
  const writers = await Promise.all(processes);
  await Promise.all(writers.map((each) => each.run()));
  await Promise.all(harmed);
  expect(harmed).toHaveLength(harms.size);
  expect(proxy.lost).toBe(3);

  await expect.poll(() => heard.at(-1)?.position, { timeout: 10_000 }).toBe(EVENTS);
  expect(heard.map(({ position }) => position)).toEqual(heard.map((_, index) => index + 1));
  expect(heard).toHaveLength(EVENTS);
  const stored = new Map(heard.map(({ position, metadata }) => [position, metadata.eventId]));
  expect(acknowledged).toHaveLength(EVENTS / 2);
  for (const { eventIds, positions } of acknowledged)
    expect(positions.map((position) => stored.get(position))).toEqual(eventIds);
});

async function restartServer(): Promise<void> {
  await stopEmbeddedPostgres({ dataDir, logger });
  await ensureEmbeddedPostgres({ dataDir, logger });
}

/** Ends every connection as an administrator or a crashed backend does. */
async function endConnections(): Promise<void> {
  const client = createClient(address, { name: 'test', maxConnections: 1 });
  await client.sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`;
  await client.close(1_000);
}
