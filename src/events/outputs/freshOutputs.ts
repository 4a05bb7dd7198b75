/**
 * The outputs that this gateway has just stored or read. Requests that come soon afterwards get them from memory,
 * without a read. Such requests come from the followers that one commit wakes, from followers that are a little behind,
 * and from the answers of short executions. Stored output does not change until it is pruned, so memory gives the same
 * answer as a read.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import type {
  OutputBounds,
  OutputCursor,
  OutputItem,
  OutputPage,
  OutputsRead,
} from '../../domain/output.ts';
import type { PreparedCommit } from '../store/preparedCommit.ts';
import { createKeptRuns, type KeptRuns, type Run, type SizedItem } from './keptRuns.ts';

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
  /** The same, but the stream has no end: after a finish, the execution that the user ran next must be read. */
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

/** The first items within the bounds. At least one, even if it alone is larger than `maxBytes`, unless `limit` is 0. */
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
