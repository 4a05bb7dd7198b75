/**
 * Measures the event store alone: appends and table growth, and on a long history audit queries, a rebuild of
 * projections, and the audit chain.
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Execution } from '../src/domain/execution.ts';
import type { OutputItem } from '../src/domain/output.ts';
import type { Session } from '../src/domain/session.ts';
import type { Worker } from '../src/domain/worker.ts';
import { sealAll } from '../src/events/chain/auditKeeper.ts';
import { verifyChain } from '../src/events/chain/verifyChain.ts';
import { createClient, type DatabaseAddress } from '../src/events/connection/client.ts';
import type { Database } from '../src/events/database.ts';
import { rebuildProjections } from '../src/events/projections/rebuildProjections.ts';
import { createChainQueries } from '../src/events/queries/listQueries.ts';
import type { Cursor } from '../src/events/store/eventStore.ts';
import {
  becomesIdle,
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../testkit/events.ts';
import type { Bench, BenchRun, Figure } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { type BenchDatabase, startBenchDatabase, withSql } from './support/benchDatabase.ts';
import { generateHistory, usualHistory } from './support/history.ts';

const EXECUTIONS = 100_000;
const SHORT_EXECUTIONS = 3_000;
const GROWTH_EXECUTIONS = 4_000;
const SHORT_GROWTH_EXECUTIONS = 400;
const MS_PER_S = 1_000;

export const eventsBench: Bench = {
  name: 'events',
  about:
    'Events/s and p50 of a commit at 1, 8 and 64 writers; growth per execution; rebuild; audit chain; audit queries (--executions N)',
  isInBareRun: true,
  run: async (run) => {
    const bench = await startBenchDatabase();
    try {
      return { comparisons: [], figures: await measure(bench, run) };
    } finally {
      await bench.destroy();
    }
  },
};

async function measure(bench: BenchDatabase, { isShort, args, say }: BenchRun): Promise<Figure[]> {
  const { values } = parseArgs({ args: [...args], options: { executions: { type: 'string' } } });
  const executions = Number(values.executions ?? (isShort ? SHORT_EXECUTIONS : EXECUTIONS));
  const { address } = bench;
  const database = await bench.open();
  say('appends');
  const rounds = isShort ? 1 : 5;
  const appends = await measureAppends(database, { rounds, msPerTurn: isShort ? 1_000 : 3_000 });
  say('table growth');
  const growing = isShort ? SHORT_GROWTH_EXECUTIONS : GROWTH_EXECUTIONS;
  const growth = await measureTableGrowth(address, database, growing);
  await database.close();
  say(`a past of ${executions} executions`);
  await withSql(address, (sql) =>
    generateHistory(sql, usualHistory(executions), { onAdded: (count) => say(`  ${count}`) }),
  );
  say('audit queries');
  const audit = await measureAuditQueries(address, isShort ? 3 : 10, executions);
  say('rebuild');
  const rebuild = await measureRebuild(bench);
  say('audit chain');
  return [...appends, ...growth, ...audit, rebuild, ...(await measureChain(address))];
}

/** Measures a rebuild of projections. (Each append writes projections, too: its figures include that cost.) */
async function measureRebuild({ address }: BenchDatabase): Promise<Figure> {
  const startedAt = performance.now();
  const { events, differing } = await rebuildProjections(address);
  if (Object.values(differing).some((rows) => rows > 0)) throw new Error(JSON.stringify(differing));
  const seconds = (performance.now() - startedAt) / MS_PER_S;
  return { name: 'rebuild of the projections', unit: 'events/s', value: events / seconds };
}

// A user with a session whose executions are recorded as a gateway records them, although nothing runs.

const EVENTS_PER_EXECUTION = 3;
/** A limit, as `MAX_QUEUED_EXECUTIONS` sets one, so that the commit has to count unfinished executions. */
const MAX_UNFINISHED = 101;

interface Writer {
  /** Makes two commits: the request; then start, output and finish. Resolves with the milliseconds of each. */
  execute(): Promise<readonly [number, number]>;
}

async function createWriter({ store, leases }: Database, userUuid: string): Promise<Writer> {
  const requested = await commitOne<'worker'>(store, workerRequested());
  const worker = await commitOne<'worker'>(store, onWorker(requested, ...becomesIdle()));
  const session = await openSession(store, worker, userUuid);
  const cursor = await leases.acquireWorker(worker.id);
  if (cursor === null) throw new Error('Another gateway has it.');
  let seq = 0;
  return {
    execute: async () => {
      const startedAt = performance.now();
      const execution = await request(store, session, `print(${seq})`);
      const requestedAt = performance.now();
      seq += 4;
      await finish(store, execution, { ...cursor, seq });
      return [requestedAt - startedAt, performance.now() - requestedAt];
    },
  };
}

type Store = Database['store'];

async function openSession(store: Store, worker: Worker, userUuid: string): Promise<Session> {
  const opened = sessionOpened({ userUuid, workerId: worker.id });
  if (opened.stream !== 'session') throw new Error('Not a session.');
  const at = new Date().toISOString();
  const assigned = { type: 'WorkerAssigned' as const, data: { sessionId: opened.id, at } };
  const { states } = await store.commit({ streams: [opened, onWorker(worker, assigned)] });
  return states[0] as Session;
}

function request(store: Store, session: Session, code: string): Promise<Execution> {
  const { id, workerId, userUuid, version } = session;
  return commitOne<'execution'>(
    store,
    executionRequested({ sessionId: id, workerId, userUuid, code }),
    { openSessions: [{ id, version }], maxUnfinished: MAX_UNFINISHED },
  );
}

async function finish(store: Store, execution: Execution, cursor: Cursor): Promise<void> {
  const at = new Date();
  const item = (seq: number, output: OutputItem['output']) => ({
    executionId: execution.id,
    seq,
    at,
    output,
  });
  const append = onExecution(
    execution,
    { type: 'ExecutionStarted', data: { at: at.toISOString() } },
    executionFinished(),
  );
  await store.commit({
    streams: [append],
    outputs: [
      item(1, { kind: 'stream', name: 'stdout', text: '1\n' }),
      item(2, { kind: 'finish' }),
    ],
    cursor,
  });
}

// Measures how many events per second the store takes, and how long a commit takes, for several numbers of writers.

const WRITERS = [1, 8, 64];
const TARGET_EVENTS_PER_S = 5_000;

interface AppendsOptions {
  /** In each round, each number of writers has one turn. */
  readonly rounds: number;
  readonly msPerTurn: number;
}

interface Turn {
  readonly commitMs: number[];
  readonly eventsPerS: number;
}

/** All writers use the store of one gateway, which groups commits that wait at the same time. */
async function measureAppends(
  database: Database,
  { rounds, msPerTurn }: AppendsOptions,
): Promise<Figure[]> {
  const most = Math.max(...WRITERS);
  const writers: Writer[] = [];
  for (let n = 0; n < most; n += 1) writers.push(await createWriter(database, `writer-${n}`));
  const turns = new Map<number, Turn[]>(WRITERS.map((count) => [count, []]));
  for (const count of WRITERS) await write(writers.slice(0, count), msPerTurn / 3);
  for (let round = 0; round < rounds; round += 1) {
    for (const count of WRITERS)
      turns.get(count)?.push(await write(writers.slice(0, count), msPerTurn));
  }
  return figures(turns);
}

/** Each writer starts its next execution when the previous one is recorded. */
async function write(writers: readonly Writer[], ms: number): Promise<Turn> {
  const commitMs: number[] = [];
  const startedAt = performance.now();
  const writeOn = async (writer: Writer): Promise<void> => {
    while (performance.now() - startedAt < ms) commitMs.push(...(await writer.execute()));
  };
  await Promise.all(writers.map(writeOn));
  const executions = commitMs.length / 2;
  const seconds = (performance.now() - startedAt) / MS_PER_S;
  return { commitMs, eventsPerS: (executions * EVENTS_PER_EXECUTION) / seconds };
}

function figures(turns: ReadonlyMap<number, readonly Turn[]>): Figure[] {
  const rates = [...turns].map(([count, of]) => ({
    count,
    of,
    rate: percentile(
      of.map(({ eventsPerS }) => eventsPerS),
      50,
    ),
  }));
  const most = Math.max(...WRITERS);
  return rates.flatMap(({ count, of, rate }) => {
    const writers = `${count} ${count === 1 ? 'writer' : 'writers'}`;
    const commitMs = of.flatMap((turn) => turn.commitMs);
    return [
      {
        name: `appends, ${writers}`,
        unit: 'events/s',
        value: rate,
        ...(count === most ? { target: { atLeast: TARGET_EVENTS_PER_S } } : {}),
      },
      { name: `one commit, p50, ${writers}`, unit: 'ms', value: percentile(commitMs, 50) },
    ];
  });
}

// Measures what an execution leaves in PostgreSQL: rows, and bytes including indexes.

const GROWING_WRITERS = 8;
const TABLES = ['events', 'executions', 'output_events', 'worker_cursors'] as const;

type Sizes = Readonly<Record<(typeof TABLES)[number], { rows: number; bytes: number }>>;

/** The growth by this many executions. The commits are real, so the dead rows that updates leave are included. */
async function measureTableGrowth(
  address: DatabaseAddress,
  database: Database,
  executions: number,
): Promise<Figure[]> {
  const writers = await Promise.all(
    Array.from({ length: GROWING_WRITERS }, (_, n) => createWriter(database, `grower-${n}`)),
  );
  const before = await sizes(address);
  const each = Math.ceil(executions / GROWING_WRITERS);
  await Promise.all(
    writers.map(async (writer) => {
      for (let n = 0; n < each; n += 1) await writer.execute();
    }),
  );
  const after = await sizes(address);
  const perExecution = (table: (typeof TABLES)[number], of: 'rows' | 'bytes') =>
    (after[table][of] - before[table][of]) / (each * GROWING_WRITERS);
  const sum = (of: 'rows' | 'bytes') =>
    TABLES.reduce((total, table) => total + perExecution(table, of), 0);
  return [
    { name: 'rows per execution', unit: 'rows', value: sum('rows') },
    { name: 'growth per execution, all tables', unit: 'B', value: sum('bytes') },
    ...TABLES.map((table) => ({
      name: `growth per execution, ${table}`,
      unit: 'B',
      value: perExecution(table, 'bytes'),
    })),
  ];
}

async function sizes(address: DatabaseAddress): Promise<Sizes> {
  return await withSql(address, async (sql) => {
    const entries = [];
    for (const table of TABLES) {
      const [row] = await sql<{ rows: number; bytes: number }[]>`
        SELECT (SELECT count(*) FROM ${sql(table)}) AS rows, pg_total_relation_size(${table}) AS bytes`;
      if (!row) throw new Error(`There is no ${table}.`);
      entries.push([table, row] as const);
    }
    return Object.fromEntries(entries) as Sizes;
  });
}

const CLOSE_TIMEOUT_MS = 2_000;

/** Measures how fast a history is sealed without pauses, and then verified. */
async function measureChain(address: DatabaseAddress): Promise<Figure[]> {
  const client = createClient(address, { name: 'chain bench', maxConnections: 1 });
  const queries = createChainQueries(client);
  const sealing = performance.now();
  await sealAll(queries, { gatewayId: 'bench', pauses: 0, isOver: () => false });
  const verifying = performance.now();
  const heads = await queries.auditHeads();
  await client.close(CLOSE_TIMEOUT_MS);
  const { events, unsealed, findings } = await verifyChain(address, heads);
  const done = performance.now();
  if (unsealed > 0 || findings.length > 0) throw new Error(findings.join());
  const perSecond = (ms: number) => events / (ms / MS_PER_S);
  return [
    {
      name: 'sealing into the audit chain',
      unit: 'events/s',
      value: perSecond(verifying - sealing),
    },
    { name: 'audit verify', unit: 'events/s', value: perSecond(done - verifying) },
    { name: 'audit verify of all events', unit: 's', value: (done - verifying) / MS_PER_S },
  ];
}

// Measures how long each query in docs/run/audit.md takes, exactly as printed there.

const TARGET_MS = 1_000;
/** Matches a section of the page: its number and question, then its query. */
const SECTION = /^## (\d+\. .+)$[\s\S]*?```sql\n([\s\S]*?)```/gm;

/** The target applies if there are at least this many executions. */
const TARGET_EXECUTIONS = 1_000_000;

/** Runs the queries in turns. The first run of each does not count. @param executions how many the database holds */
async function measureAuditQueries(
  address: DatabaseAddress,
  rounds: number,
  executions: number,
): Promise<Figure[]> {
  // Relative to the project's root, because the compiled file is elsewhere.
  const page = readFileSync('docs/run/audit.md', 'utf8');
  const queries = [...page.matchAll(SECTION)].map(([, question = '', query = '']) => ({
    question,
    query,
    tookMs: [] as number[],
  }));
  if (queries.length === 0) throw new Error('docs/run/audit.md has no queries.');
  await withSql(address, async (sql) => {
    for (let round = 0; round <= rounds; round += 1) {
      for (const { query, tookMs } of queries) {
        const startedAt = performance.now();
        await sql.unsafe(query);
        if (round > 0) tookMs.push(performance.now() - startedAt);
      }
    }
  });
  return queries.map(({ question, tookMs }) => ({
    name: `audit query ${question}`,
    unit: 'ms',
    value: percentile(tookMs, 50),
    ...(executions >= TARGET_EXECUTIONS ? { target: { atMost: TARGET_MS } } : {}),
  }));
}
