/** A thousand that follow the same output, on a real database: what they read is read once, on whichever gateway. */
import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import type { Database } from '../../src/events/database.ts';
import { createOpenSessions } from '../../src/service/openSessions.ts';
import { followOutput, followSessionOutput } from '../../src/service/output/followOutput.ts';
import { createSharedOutput } from '../../src/service/output/sharedOutput.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const FOLLOWERS = 1_000;
const COMMITS = 40;
const ITEMS_PER_COMMIT = 3;

const db = await useDatabase();
const writer = await db.open();
const other = await db.open();

/** The same database, and how often its queries were asked. */
function counted(database: Database) {
  let asked = 0;
  const queries = new Proxy(database.queries, {
    get: (target, name) => {
      asked += 1;
      return Reflect.get(target, name);
    },
  });
  return { database: { ...database, queries }, count: () => asked };
}

async function request(userUuid: string): Promise<Execution> {
  const { id: sessionId } = await commitOne<'session'>(writer.store, sessionOpened({ userUuid }));
  return await commitOne<'execution'>(writer.store, executionRequested({ userUuid, sessionId }));
}

/** Stores an execution's output in many commits, and its end. Resolves with their number. */
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

/** The seqs up to the finish; leaves then. */
async function seqsOf(follower: AsyncIterable<OutputItem>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq, output } of follower) {
    seqs.push(seq);
    if (output.kind === 'finish') break;
  }
  return seqs;
}

describe.each<[string, () => Database]>([
  ['on the gateway that stores it', () => writer],
  ['on another gateway', () => other],
])('a thousand followers %s', (where, gateway) => {
  it('of one execution cost one read of its output', async () => {
    const execution = await request(`ann ${where}`);
    const { database, count } = counted(gateway());
    const deps = { database, sharedOutput: createSharedOutput() };
    const following = Array.from({ length: FOLLOWERS }, (_, index) =>
      seqsOf(followOutput(deps, execution.id, index % 2)),
    );
    const last = await print(execution);
    const all = Array.from({ length: last }, (_, index) => index + 1);
    for (const [index, seqs] of (await Promise.all(following)).entries())
      expect(seqs).toEqual(all.slice(index % 2));
    // A commit's page, and a look whether more has come; some for those who began one later.
    expect(count()).toBeLessThan(5 * (COMMITS + 1) + 20);
  });

  it('of one user cost one read of all that the executions put out', async () => {
    const userUuid = `bea ${where}`;
    const execution = await request(userUuid);
    const { database, count } = counted(gateway());
    const sessions = createOpenSessions(database.queries);
    await sessions.refresh('default', userUuid);
    const deps = { database, sessions, sharedOutput: createSharedOutput() };
    const after = `${execution.id}:0`;
    const followers = await Promise.all(
      Array.from({ length: FOLLOWERS }, () =>
        followSessionOutput(deps, 'default', userUuid, after),
      ),
    );
    const before = count();
    const following = followers.map(seqsOf);
    const last = await print(execution);
    const all = Array.from({ length: last }, (_, index) => index + 1);
    for (const seqs of await Promise.all(following)) expect(seqs).toEqual(all);
    expect(count() - before).toBeLessThan(5 * (COMMITS + 1) + 20);
  });
});

describe('a follower that begins at the finish, or beyond it', () => {
  it.each([0, 7])('has its end at once (%i beyond)', async (beyond) => {
    const execution = await request(`cleo ${beyond}`);
    const last = await print(execution);
    const deps = { database: writer, sharedOutput: createSharedOutput() };
    expect(await seqsOf(followOutput(deps, execution.id, last + beyond))).toEqual([]);
  });
});
