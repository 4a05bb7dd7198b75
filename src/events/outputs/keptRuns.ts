/**
 * Outputs in memory, limited for each execution and for all together. The oldest are dropped first. Outputs older than
 * {@link MAX_AGE_MS} are never returned, and are dropped at the next call.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import { ITEM_OVERHEAD_BYTES, type OutputCursor, type OutputItem } from '../../domain/output.ts';

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
export interface SizedItem {
  readonly item: OutputItem;
  readonly bytes: number;
}

/** Outputs of one execution that came together, without holes. */
export interface Run {
  readonly executionId: ExecutionId;
  readonly items: readonly SizedItem[];
  readonly first: number;
  readonly last: number;
}

export interface KeptRuns {
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
   * Its neighbours in the list of all runs. A Set instead of the linked list would be slow: each search for its oldest
   * entry passes over all entries that were deleted before it.
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
export function createKeptRuns(now: () => number, onGone: (id: ExecutionId) => void): KeptRuns {
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
