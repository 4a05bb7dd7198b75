/**
 * An update from the former release to this one under load: twice a new gateway starts and an old one stops. No call
 * fails, and nothing is lost or done twice.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createClient } from '../../src/events/connection/client.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { buildFormerRelease, checkOut, type FormerRelease } from '../../testkit/formerRelease.ts';
import { execute, follow, type Output, restartKernel, submit } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { askFiles } from '../support/fileClient.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';
import { createRetryingClient, type RetryingClient } from '../support/retryingClient.ts';

/** The database is empty at first, because the former release makes the tables. */
const EMPTY = { hasTables: false };
const COUNTING_USERS = 4;
/** How often every user counts between two steps. */
const BETWEEN_COUNTS = 10;
const BETWEEN_TIMEOUT_MS = 120_000;
const MIN_NEWCOMERS = 2;
/** Two gateways make six workers at once, on a busy machine. */
const PATIENT = { WORKER_WAIT_TIMEOUT_MS: '120000' };
const LINES = 300;
const PRINT = `import time\nfor i in range(${LINES}):\n    print('line', i)\n    time.sleep(0.1)`;
const EXECUTE =
  'mutation ($input: ExecuteInput!) { execute(input: $input) { status resultText stateLost } }';
const OPEN = 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { id } }';
const RELEASE = 'mutation ($input: ReleaseInput!) { release(input: $input) { released } }';
const TIMEOUT_MS = 480_000;
/**
 * Time to compile, to install packages if the former release had others, and to build its worker image if that differs.
 */
const BUILD_TIMEOUT_MS = 600_000;
/** The last commit whose databases later releases cannot use. */
const UNRELEASED = 'c6e3932b';

let installation: TestInstallation;
let former: FormerRelease;
beforeAll(async () => {
  former = await buildFormerRelease();
  installation = await createInstallation({ MAX_TOTAL_WORKERS: '10', ...PATIENT }, EMPTY);
}, BUILD_TIMEOUT_MS);
afterAll(async () => {
  await installation.destroy();
  former.remove();
});

interface Executed {
  readonly execute: { status: string; resultText: string | null; stateLost: boolean };
}

it(
  'two gateways are updated under load, and no request fails',
  async () => {
    const startFormer = () => installation.start({}, former);
    let old = [await startFormer(), await startFormer()];
    const urls = old.map(({ url }) => url);
    const [first] = old;
    if (!first) throw new Error('There is no gateway.');
    const { id } = await submit(first, 'streaming', PRINT, { timeoutMs: 120_000 });
    const load = startLoad(urls, first.token);
    await load.goesOn();
    for (const leaving of old) {
      const coming = await installation.start();
      urls.push(coming.url);
      expect(await leaving.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      await load.goesOn();
      old = [...old, coming];
    }
    // A process supervisor may start a gateway of the former release once more.
    const late = await startFormer();
    urls.push(late.url);
    await load.goesOn();
    expect(await late.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await load.hasNewcomers();
    const { clients, counts } = await load.stop();

    expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
    expect(clients.reduce((sum, { retries }) => sum + retries, 0)).toBeGreaterThan(0);
    for (const each of counts) {
      expect(each.length).toBeGreaterThan(4 * BETWEEN_COUNTS);
      expect(each).toEqual(each.map((_, index) => String(index + 1)));
    }
    const left = old.at(-1) ?? first;
    const outputs: Output[] = await follow(left.socket(), id);
    expect(outputs.map(({ text }) => text ?? '').join('')).toBe(
      Array.from({ length: LINES }, (_, index) => `line ${index}\n`).join(''),
    );
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
    for (let user = 0; user < COUNTING_USERS; user += 1) {
      const { resultText } = await execute(left, `counting-${user}`, 'n');
      expect(resultText).toBe(counts[user]?.at(-1));
    }
  },
  TIMEOUT_MS,
);

it(
  'a session that a new gateway opens beside an old one keeps its options through the update',
  async () => {
    // This test has an installation of its own: in the one that the tests share, the old gateway's users could get
    // idle workers of this release.
    const own = await createInstallation(PATIENT, EMPTY);
    onTestFinished(() => own.destroy());
    const old = await own.start({}, former);
    await execute(old, 'plain', 'kept = 1');
    await until('idle workers of the former release', async () => {
      const rows = await own.sql`SELECT 1 FROM workers WHERE state = 'IDLE'`;
      return rows.length >= 2;
    });
    const coming = await own.start();
    const input = {
      userUuid: 'optional',
      metadata: [{ key: 'team', value: 'red' }],
      environmentVariables: [{ name: 'TOKEN', value: 's3cret' }],
    };
    const open = () => coming.graphql<{ openSession: { id: string } }>(OPEN, { input });
    const opened = (await open()).data?.openSession;
    expect(opened?.id).toBeDefined();
    const show = 'import os; print(os.environ["TOKEN"])';
    // Any gateway answers for the session, even the old one.
    expect(await execute(old, 'optional', show)).toMatchObject({ stdout: 's3cret\n' });
    await execute(old, 'optional', 'kept = 2');
    expect(await old.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(await execute(coming, 'plain', 'kept')).toMatchObject({
      resultText: '1',
      stateLost: false,
    });
    // The old gateway opened this session, with a worker of the former release. The new one can write its files.
    const written = await askFiles(coming, { method: 'PUT', path: 'plain/a.txt', body: 'a' });
    expect(written.status).toBe(201);
    const after = await execute(coming, 'optional', `kept\n${show}\nkept`);
    expect(after).toMatchObject({ resultText: 's3cret\n2', stateLost: false });
    expect((await open()).data?.openSession).toEqual(opened);
    await restartKernel(coming, 'optional');
    expect(await execute(coming, 'optional', show)).toMatchObject({ stdout: 's3cret\n' });
  },
  TIMEOUT_MS,
);

it(
  'an idempotency key that was used at a gateway of either release is known at the other',
  async () => {
    const own = await createInstallation(PATIENT, EMPTY);
    onTestFinished(() => own.destroy());
    const old = await own.start({}, former);
    const fromOld = await execute(old, 'ann', '"old"', { idempotencyKey: 'old' });
    const coming = await own.start();
    const fromNew = await execute(coming, 'ann', '"new"', { idempotencyKey: 'new' });
    const during = await execute(old, 'ann', '"during"', { idempotencyKey: 'during' });
    for (const gateway of [old, coming]) {
      for (const { id, resultText } of [fromOld, fromNew, during]) {
        const code = `"${resultText?.slice(1, -1)}"`;
        const key = { idempotencyKey: code.slice(1, -1) };
        expect(await execute(gateway, 'ann', code, key)).toMatchObject({ id, resultText });
        await expect(execute(gateway, 'ann', '"other"', key)).rejects.toThrow(
          'IDEMPOTENCY_CONFLICT',
        );
      }
    }
    expect(await old.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  },
  TIMEOUT_MS,
);

it('a gateway that is too old for its database says so and stops', async () => {
  const { sql } = installation;
  const gateway = await installation.start();
  await sql`INSERT INTO schema_versions (version, compatible_from) VALUES (1000000, 1000000)`;
  try {
    await until('the end of the gateway', async () => !existsSync(`/proc/${gateway.pid}`));
    expect(gateway.log()).toContain('This gateway is too old for its database');
    expect(await gateway.kill('SIGTERM')).toEqual({ code: 1, signal: null });
  } finally {
    await sql`DELETE FROM schema_versions WHERE version = 1000000`;
  }
});

it('a database from before the first release is refused, with a message', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'ch-unreleased-'));
  const postgres = { dataDir, logger: pino({ level: 'silent' }) };
  const address = await ensureEmbeddedPostgres(postgres);
  const client = createClient(address, { name: 'test', maxConnections: 1 });
  try {
    checkOut(UNRELEASED, 'migrations', dataDir);
    await migrate(drizzle(client.sql), { migrationsFolder: join(dataDir, 'migrations') });
    await client.close(1_000);
    const { PATH = '', HOME = '', WORKER_IMAGE = '' } = process.env;
    const env = { PATH, HOME, WORKER_IMAGE, DATA_DIR: dataDir, PORT: '0' };
    const { code, output } = await runCli(['serve'], env);
    expect(output).toContain('before the first release, and cannot be used any more');
    expect(code).toBe(1);
  } finally {
    await client.close(1_000);
    await stopEmbeddedPostgres(postgres);
    rmSync(dataDir, { recursive: true, force: true });
  }
});

/** Users who count, each on their own connection, and one who opens and releases sessions. */
function startLoad(urls: readonly string[], token: string) {
  const stopping = new AbortController();
  const clients: RetryingClient[] = [];
  const client = () => {
    const made = createRetryingClient(urls, token);
    clients.push(made);
    return made;
  };

  const counts = Array.from({ length: COUNTING_USERS }, (): (string | null)[] => []);
  let newcomers = 0;

  async function count(counted: (string | null)[], user: number): Promise<void> {
    const { graphql } = client();
    const userUuid = `counting-${user}`;
    while (!stopping.signal.aborted) {
      const code = 'n = globals().get("n", 0) + 1\nn';
      const input = { userUuid, code, idempotencyKey: randomUUID() };
      const data = await graphql<Executed>(EXECUTE, { input });
      counted.push(data?.execute.resultText ?? null);
    }
  }

  async function comeAndGo(): Promise<void> {
    const { graphql } = client();
    for (; !stopping.signal.aborted; newcomers += 1) {
      const userUuid = `newcomer-${newcomers}`;
      await graphql(EXECUTE, { input: { userUuid, code: '1', idempotencyKey: randomUUID() } });
      await graphql(RELEASE, { input: { userUuid } });
    }
  }

  const working = Promise.all([...counts.map(count), comeAndGo()]);
  return {
    /** Resolves when every user has counted BETWEEN_COUNTS more times. */
    goesOn: async () => {
      const goals = counts.map(({ length }) => length + BETWEEN_COUNTS);
      const isThere = () => counts.every(({ length }, user) => length >= (goals[user] ?? 0));
      await until('everybody to count on', async () => isThere(), BETWEEN_TIMEOUT_MS);
    },
    hasNewcomers: async () => {
      await until('newcomers', async () => newcomers >= MIN_NEWCOMERS, BETWEEN_TIMEOUT_MS);
    },
    stop: async () => {
      stopping.abort();
      await working;
      for (const each of clients) each.close();
      return { clients, counts };
    },
  };
}
