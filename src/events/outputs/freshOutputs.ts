/**
 * The outputs that this gateway has just stored or read. Requests that come soon afterwards get them from memory,
 * without a read. Such requests come from the followers that one commit wakes, from followers that are a little behind,
 * and from calls whose answer has the outputs of a short execution. Stored output does not change until it is pruned,
 * so memory gives the same answer as a read.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import {
  ITEM_OVERHEAD_BYTES,
  type OutputBounds,
  type OutputCursor,
  type OutputItem,
  type OutputPage,
  type OutputsRead,
} from '../../domain/output.ts';
import type { PreparedCommit } from '../store/preparedCommit.ts';

export interface FreshOutputs {
  /** Keeps what this gateway has stored. */
  stored(commit: PreparedCommit): void;
  /** Keeps what was read: outputs of one execution, or of several of a user's executions in their order. */
  read(items: readonly SizedItem[]): void;
  /**
   * The execution's outputs after `after`, or null if they must be read. "Nothing yet" is answered only once after each
   * commit of this gateway. The second request reads from the database, where another gateway may have stored outputs
   * meanwhile.
   */
  ofExecution(after: OutputCursor, bounds: OutputBounds): OutputsRead | null;
  /**
   * Like `ofExecution`, but `isEnd` is never set: after a finish come the outputs of the user's next execution, which
   * must be read.
   */
  ofUser(after: OutputCursor, bounds: OutputBounds): OutputsRead | null;
  /** All outputs of each page. Null if some of them are not in memory, or if they exceed `maxBytes` of stored JSON. */
  pages(pages: readonly OutputPage[], maxBytes: number): (readonly OutputItem[])[] | null;
}

export function createFreshOutputs(now = () => performance.now()): FreshOutputs {
  /**
   * For each unfinished execution, the seq of the last output that this gateway stored. The entry is deleted once a
   * reader got the answer "nothing yet".
   */
  const lastStored = new Map<ExecutionId, number>();
  const kept = createKeptRuns(now, (gone) => lastStored.delete(gone));

  function isFinish(cursor: OutputCursor): boolean {
    const run = kept.withOutput(cursor);
    return run?.items[cursor.seq - run.first]?.item.output.kind === 'finish';
  }

  function isNothingYet({ executionId, seq }: OutputCursor): boolean {
    return lastStored.get(executionId) === seq && lastStored.delete(executionId);
  }

  function read(after: OutputCursor, bounds: OutputBounds, isOfUser: boolean): OutputsRead | null {
    const { items } = within(bounds, follow(kept, after));
    const isEnd = !isOfUser && isOver(items, after);
    return items.length > 0 || isEnd || isNothingYet(after) ? { items, isEnd } : null;
  }

  function isOver(items: readonly OutputItem[], after: OutputCursor): boolean {
    const last = items.at(-1);
    return last ? last.output.kind === 'finish' : isFinish(after);
  }

  return {
    stored: ({ commit: { outputs = [] }, outputBodies }) => {
      const sized = outputs.map((item, n) => ({ item, bytes: outputBodies[n]?.bytes ?? 0 }));
      for (const run of runsOf(sized)) {
        kept.keep(run);
        if (run.items.at(-1)?.item.output.kind === 'finish') lastStored.delete(run.executionId);
        else lastStored.set(run.executionId, run.last);
      }
    },
    read: (items) => {
      for (const run of runsOf(items)) kept.keep(run);
    },
    ofExecution: (after, bounds) => read(after, bounds, false),
    ofUser: (after, bounds) => read(after, bounds, true),
    pages: (pages, maxBytes) => {
      let left = maxBytes;
      const found: OutputItem[][] = [];
      for (const { executionId, after: seq, limit } of pages) {
        const after = { executionId, seq };
        const bounds = { limit: limit ?? Number.POSITIVE_INFINITY, maxBytes: left };
        const { items, bytes } = within(bounds, follow(kept, after));
        left -= bytes;
        const isWhole = items.length === limit || isOver(items, after);
        if (!isWhole || left < 0) return null;
        found.push(items);
      }
      return found;
    },
  };
}

/** The outputs in memory that follow `after`, up to the first that is missing. */
function* follow(kept: KeptRuns, { executionId, seq: after }: OutputCursor): Generator<SizedItem> {
  let seq = after;
  for (;;) {
    const run = kept.withOutput({ executionId, seq: seq + 1 });
    if (!run) return;
    yield* run.items.slice(seq + 1 - run.first);
    seq = run.last;
  }
}

/** The first items: at most `limit`, ending with the one that brings them to `maxBytes`. */
function within({ limit, maxBytes }: OutputBounds, sized: Iterable<SizedItem>) {
  const items: OutputItem[] = [];
  let bytes = 0;
  for (const next of limit > 0 ? sized : []) {
    items.push(next.item);
    bytes += next.bytes;
    if (items.length >= limit || bytes >= maxBytes) break;
  }
  return { items, bytes };
}

function runsOf(sized: readonly SizedItem[]): Run[] {
  const runs: (Run & { items: SizedItem[]; last: number })[] = [];
  for (const next of sized) {
    const { executionId, seq } = next.item;
    const run = runs.at(-1);
    if (run?.executionId === executionId && run.last + 1 === seq) {
      run.items.push(next);
      run.last = seq;
    } else runs.push({ executionId, items: [next], first: seq, last: seq });
  }
  return runs;
}

// Outputs in memory, limited for each execution and for all together. The oldest are dropped first. Outputs older than
// {@link MAX_AGE_MS} are never returned, and are dropped at the next call.

/**
 * Limit for one execution: enough for followers that are seconds apart. A follower further behind reads from the
 * database.
 */
const EXECUTION_BYTES = 2 * 1024 * 1024;
/**
 * Limit for all executions: enough for 16 executions at their own limit, or for the short executions of some seconds.
 * What does not fit is read from the database.
 */
const TOTAL_BYTES = 32 * 1024 * 1024;
/**
 * How long an output is kept. Answers are made immediately, and followers look at least once a second, so older outputs
 * would be of no use. They may also have been pruned meanwhile.
 */
const MAX_AGE_MS = 5_000;

/** An output, and the bytes of its stored JSON. */
interface SizedItem {
  readonly item: OutputItem;
  readonly bytes: number;
}

/** Outputs of one execution that were stored or read together, without holes. */
interface Run {
  readonly executionId: ExecutionId;
  readonly items: readonly SizedItem[];
  readonly first: number;
  readonly last: number;
}

interface KeptRuns {
  /** Keeps a run, and drops older ones to stay within the limits: first those of its execution, then any. */
  keep(run: Run): void;
  /** A run that contains the output. */
  withOutput(cursor: OutputCursor): Run | undefined;
}

interface KeptRun extends Run {
  readonly of: OfExecution;
  readonly bytes: number;
  readonly at: number;
  /**
   * Its neighbours in the list of all runs. A Set instead of the linked list would be slow: it keeps a hole for each
   * deleted entry, and each search for the oldest entry passes over the holes.
   */
  older: KeptRun | null;
  newer: KeptRun | null;
}

interface OfExecution {
  /**
   * Runs by their first seq, oldest first. They may overlap. A few hundred at most: output is stored 40 times a second.
   */
  readonly runs: Map<number, KeptRun>;
  bytes: number;
}

/** @param onGone called when nothing of an execution is kept any more */
function createKeptRuns(now: () => number, onGone: (id: ExecutionId) => void): KeptRuns {
  const executions = new Map<ExecutionId, OfExecution>();
  let oldest: KeptRun | null = null;
  let newest: KeptRun | null = null;
  let total = 0;

  function add(run: KeptRun): void {
    run.of.runs.set(run.first, run);
    run.of.bytes += run.bytes;
    total += run.bytes;
    if (newest) newest.newer = run;
    oldest ??= run;
    newest = run;
  }

  function letGo(run: KeptRun): void {
    run.of.runs.delete(run.first);
    run.of.bytes -= run.bytes;
    total -= run.bytes;
    if (run.older) run.older.newer = run.newer;
    else oldest = run.newer;
    if (run.newer) run.newer.older = run.older;
    else newest = run.older;
    if (run.of.runs.size > 0) return;
    executions.delete(run.executionId);
    onGone(run.executionId);
  }

  function letGoOfAged(): void {
    while (oldest && now() - oldest.at > MAX_AGE_MS) letGo(oldest);
  }

  function keepWithinBounds({ of }: KeptRun): void {
    for (const run of of.runs.values())
      if (run !== newest && of.bytes > EXECUTION_BYTES) letGo(run);
      else break;
    while (oldest && oldest !== newest && total > TOTAL_BYTES) letGo(oldest);
  }

  return {
    keep: (run) => {
      letGoOfAged();
      const { executionId, first, items } = run;
      const of = executions.get(executionId) ?? { runs: new Map<number, KeptRun>(), bytes: 0 };
      const former = of.runs.get(first);
      if (former) letGo(former);
      for (const { item } of items) freeze(item);
      executions.set(executionId, of);
      const kept = { ...run, of, bytes: sizeOf(items), at: now(), older: newest, newer: null };
      add(kept);
      keepWithinBounds(kept);
    },
    withOutput: ({ executionId, seq }) => {
      letGoOfAged();
      const runs = executions.get(executionId)?.runs;
      // Most requests begin at the first output of a commit or a page.
      const known = runs?.get(seq);
      if (known || !runs) return known;
      for (const run of runs.values()) if (run.first <= seq && seq <= run.last) return run;
      return undefined;
    },
  };
}

function sizeOf(items: readonly SizedItem[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes + ITEM_OVERHEAD_BYTES, 0);
}

/** Freezes the item: its readers share it. Without recursion, because a worker may send deeply nested values. */
function freeze(item: OutputItem): void {
  const open: object[] = [item];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    Object.freeze(next);
    for (const value of Object.values(next))
      if (typeof value === 'object' && value !== null) open.push(value);
  }
}
