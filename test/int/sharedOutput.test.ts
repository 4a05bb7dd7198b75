/** On a real database: a thousand clients that follow one output cost a gateway about as many reads as one client. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import type { Database } from '../../src/events/database.ts';
import { NEVER } from '../../src/service/access/tokenEnd.ts';
import { createOpenSessions } from '../../src/service/openSessions.ts';
import { followOutput, followSessionOutput } from '../../src/service/output/followOutput.ts';
import { createSharedOutput } from '../../src/service/output/sharedOutput.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';

const FOLLOWERS = 1_000;
const COMMITS = 40;
const ITEMS_PER_COMMIT = 3;
const SHORT_RUNS = 20;

/** A gateway, and the proxy that counts its reads. */
interface Counted {
  readonly database: Database;
  readonly proxy: DatabaseProxy;
}

const db = await useDatabase();
const counted = { writer: await openCounted(), other: await openCounted() };
const writer = counted.writer.database;
afterAll(async () => {
  for (const { database, proxy } of Object.values(counted)) {
    await database.close();
    await proxy.close();
  }
});

async function openCounted(): Promise<Counted> {
  const proxy = await createDatabaseProxy(db.address);
  return { proxy, database: await db.open(undefined, proxy.address) };
}

async function request(userUuid: string): Promise<Execution> {
  const { id: sessionId } = await commitOne<'session'>(writer.store, sessionOpened({ userUuid }));
  return await commitOne<'execution'>(writer.store, executionRequested({ userUuid, sessionId }));
}

/** Stores an execution's output in many commits, and its end. Resolves with the last seq. */
async function print(execution: Execution): Promise<number> {
  let seq = 0;
  const next = (output: OutputItem['output']): OutputItem => {
    seq += 1;
    return { executionId: execution.id, seq, at: new Date(), output };
  };
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const outputs = Array.from({ length: ITEMS_PER_COMMIT }, (_, line) =>
      next({ kind: 'stream', name: 'stdout', text: `${commit}.${line}\n` }),
    );
    await writer.store.commit({ streams: [], outputs });
  }
  const end = onExecution(execution, executionFinished());
  await writer.store.commit({ streams: [end], outputs: [next({ kind: 'finish' })] });
  return seq;
}

/** Stores all output of an execution, and its end, in one commit. */
async function printOnce(execution: Execution): Promise<void> {
  const item = { executionId: execution.id, at: new Date() };
  await writer.store.commit({
    streams: [onExecution(execution, executionFinished())],
    outputs: [
      { ...item, seq: 1, output: { kind: 'stream', name: 'stdout', text: 'done' } },
      { ...item, seq: 2, output: { kind: 'finish' } },
    ],
  });
}

/** The seqs that a follower gets until so many executions have finished. */
async function seqsOf(follower: AsyncIterable<OutputItem>, finishes = 1): Promise<number[]> {
  const seqs: number[] = [];
  let left = finishes;
  for await (const { seq, output } of follower) {
    seqs.push(seq);
    if (output.kind === 'finish') left -= 1;
    if (left === 0) break;
  }
  return seqs;
}

/** Followers that keep up need no read. Those that began later, and the poll each second, need fewer than this. */
const WRITERS_READS = COMMITS;
/** Each commit costs a read of its page, and a read that finds nothing more. The limit is more than twice that. */
const OTHERS_READS = 5 * (COMMITS + 1) + 20;

describe.each([
  ['on the gateway that stores it', 'writer', WRITERS_READS],
  ['on another gateway', 'other', OTHERS_READS],
] as const)('a thousand followers %s', (where, gateway, maxReads) => {
  it('of one execution cost about as many reads as one follower', async () => {
    const execution = await request(`ann ${where}`);
    const { database, proxy } = counted[gateway];
    const deps = { database, sharedOutput: createSharedOutput() };
    const before = proxy.reads;
    const following = Array.from({ length: FOLLOWERS }, (_, index) =>
      seqsOf(followOutput(deps, execution.id, index % 2, NEVER)),
    );
    const last = await print(execution);
    const all = Array.from({ length: last }, (_, index) => index + 1);
    for (const [index, seqs] of (await Promise.all(following)).entries())
      expect(seqs).toEqual(all.slice(index % 2));
    expect(proxy.reads - before).toBeLessThan(maxReads);
  });

  it('of one user cost about as many reads as one follower', async () => {
    const userUuid = `bea ${where}`;
    const execution = await request(userUuid);
    const { database, proxy } = counted[gateway];
    const sessions = createOpenSessions(database.queries);
    await sessions.refresh('default', userUuid);
    const deps = { database, sessions, sharedOutput: createSharedOutput() };
    const after = `${execution.id}:0`;
    const followers = await Promise.all(
      Array.from({ length: FOLLOWERS }, () =>
        followSessionOutput(deps, AUTH_TOKEN_HOLDER, userUuid, after),
      ),
    );
    const before = proxy.reads;
    const following = followers.map((follower) => seqsOf(follower));
    const last = await print(execution);
    const all = Array.from({ length: last }, (_, index) => index + 1);
    for (const seqs of await Promise.all(following)) expect(seqs).toEqual(all);
    expect(proxy.reads - before).toBeLessThan(maxReads);
  });

  it('of one user cost few reads even if many short executions end in a row', async () => {
    const userUuid = `dora ${where}`;
    const { id: sessionId } = await commitOne<'session'>(writer.store, sessionOpened({ userUuid }));
    const runs: Execution[] = [];
    for (let run = 0; run < SHORT_RUNS; run += 1)
      runs.push(
        await commitOne<'execution'>(writer.store, executionRequested({ userUuid, sessionId })),
      );
    const { database, proxy } = counted[gateway];
    const sessions = createOpenSessions(database.queries);
    await sessions.refresh('default', userUuid);
    const deps = { database, sessions, sharedOutput: createSharedOutput() };
    const followers = await Promise.all(
      Array.from({ length: FOLLOWERS }, () =>
        followSessionOutput(deps, AUTH_TOKEN_HOLDER, userUuid, `${runs[0]?.id}:0`),
      ),
    );
    const before = proxy.reads;
    const following = followers.map((follower) => seqsOf(follower, SHORT_RUNS));
    for (const run of runs) await printOnce(run);
    const all = Array.from({ length: SHORT_RUNS }, () => [1, 2]).flat();
    for (const seqs of await Promise.all(following)) expect(seqs).toEqual(all);
    expect(proxy.reads - before).toBeLessThan(5 * SHORT_RUNS + 20);
  });
});

describe('a follower that begins at the finish, or beyond it', () => {
  it.each([0, 7])('has its end at once (%i beyond)', async (beyond) => {
    const execution = await request(`cleo ${beyond}`);
    const last = await print(execution);
    const deps = { database: writer, sharedOutput: createSharedOutput() };
    expect(await seqsOf(followOutput(deps, execution.id, last + beyond, NEVER))).toEqual([]);
  });
});
