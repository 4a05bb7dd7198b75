/**
 * The outputs that this gateway has just stored or read: whoever asks for them soon after is answered without a read.
 * They are for the followers that one commit wakes, for followers a little behind, and for the answers of short runs.
 * What is stored does not change until it is pruned, so this is what a read would give.
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
  /** Keeps what was read after `after`: of one execution, or of a user's in their order. */
  read(after: OutputCursor | null, items: readonly SizedItem[]): void;
  /**
   * What follows in the execution; null: read it. That there is nothing yet is said once after each commit of this
   * gateway, so what another gateway stores meanwhile is read at the second look at the latest.
   */
  ofExecution(after: OutputCursor, bounds: OutputBounds): OutputsRead | null;
  /** What follows in the execution and those that its user ran next; it has no end. Null as above. */
  ofUser(after: OutputCursor, bounds: OutputBounds): OutputsRead | null;
  /** All of each page; null: some of it is not known, or it is more than `maxBytes` of stored JSON. */
  pages(pages: readonly OutputPage[], maxBytes: number): (readonly OutputItem[])[] | null;
}

export function createFreshOutputs(now = () => performance.now()): FreshOutputs {
  /** The last that this gateway stored, until it was said that nothing follows it yet; none after a finish. */
  const lastStored = new Map<ExecutionId, number>();
  /** What the user ran after it, as a read has told. */
  const nextOfUser = new Map<ExecutionId, ExecutionId>();
  const kept = createKeptRuns(now, (gone) => {
    lastStored.delete(gone);
    nextOfUser.delete(gone);
  });

  function isFinish(cursor: OutputCursor): boolean {
    const run = kept.withOutput(cursor);
    return run?.items[cursor.seq - run.first]?.item.output.kind === 'finish';
  }

  /** What the user ran next, once all of this execution was given. */
  const nextAfter = (cursor: OutputCursor) =>
    isFinish(cursor) ? nextOfUser.get(cursor.executionId) : undefined;
  const following = (after: OutputCursor, isOfUser: boolean) =>
    follow(kept, after, isOfUser ? nextAfter : () => undefined);

  function isNothingYet({ executionId, seq }: OutputCursor): boolean {
    return lastStored.get(executionId) === seq && lastStored.delete(executionId);
  }

  function look(after: OutputCursor, bounds: OutputBounds, isOfUser: boolean): OutputsRead | null {
    const { items } = within(bounds, following(after, isOfUser));
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
    read: (after, items) => {
      let before = after;
      for (const run of runsOf(items)) {
        kept.keep(run);
        if (before && before.executionId !== run.executionId && isFinish(before))
          nextOfUser.set(before.executionId, run.executionId);
        before = { executionId: run.executionId, seq: run.last };
      }
    },
    ofExecution: (after, bounds) => look(after, bounds, false),
    ofUser: (after, bounds) => look(after, bounds, true),
    pages: (pages, maxBytes) => {
      let left = maxBytes;
      const found: OutputItem[][] = [];
      for (const { executionId, after: seq, limit } of pages) {
        const after = { executionId, seq };
        const bounds = { limit: limit ?? Number.POSITIVE_INFINITY, maxBytes: left };
        const { items, bytes } = within(bounds, following(after, false));
        left -= bytes;
        const isWhole = items.length === limit || isOver(items, after);
        if (!isWhole || left < 0) return null;
        found.push(items);
      }
      return found;
    },
  };
}

/** What is known to follow, up to the first that is not known. */
function* follow(
  kept: KeptRuns,
  after: OutputCursor,
  nextAfter: (cursor: OutputCursor) => ExecutionId | undefined,
): Generator<SizedItem> {
  let { executionId, seq } = after;
  for (;;) {
    const run = kept.withOutput({ executionId, seq: seq + 1 });
    const next = run ? undefined : nextAfter({ executionId, seq });
    if (run) {
      yield* run.items.slice(seq + 1 - run.first);
      seq = run.last;
    } else if (next) {
      executionId = next;
      seq = 0;
    } else return;
  }
}

/** The first of them, up to the bounds; one at least, if any is wanted. */
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
