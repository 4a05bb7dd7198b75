/**
 * What short executions put out, kept for some seconds by the gateway that stored it: whoever waits for their end is answered
 * without a read. What is stored does not change until it is pruned, so it is what a read would give.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import type { Finish, Output, OutputItem, OutputPage } from '../../domain/output.ts';
import type { PreparedCommit } from '../store/preparedCommit.ts';

/** What is larger is read: then the read is not what takes long. */
const MAX_BYTES_EACH = 64 * 1024;
/** Of all together: some thousands of short runs, and little beside what a gateway needs anyway. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Answers are made at once; later, what is kept may have been pruned. */
const MAX_AGE_MS = 5_000;

export interface RecentOutputs {
  /** Keeps what is whole in it: outputs from the first to the finish. */
  stored(commit: PreparedCommit): void;
  /**
   * These pages, as {@link ManyQueries.outputPages} gives them; null: not all of their executions are known here, or there is more
   * than `maxBytes` in them.
   */
  pages(pages: readonly OutputPage[], maxBytes: number): (readonly OutputItem[])[] | null;
}

interface Kept {
  readonly items: readonly Omit<OutputItem, 'output'>[];
  /** JSON, as it is stored: whoever is given it cannot change it. */
  readonly bodies: readonly string[];
  readonly bytes: number;
  readonly at: number;
}

export function createRecentOutputs(now = () => performance.now()): RecentOutputs {
  /** The oldest first. */
  const kept = new Map<ExecutionId, Kept>();
  let bytes = 0;

  function drop(id: ExecutionId, entry: Kept): void {
    kept.delete(id);
    bytes -= entry.bytes;
  }

  function dropOld(): void {
    for (const [id, entry] of kept) {
      if (bytes <= MAX_BYTES && now() - entry.at <= MAX_AGE_MS) return;
      drop(id, entry);
    }
  }

  return {
    stored: (prepared) => {
      for (const [id, entry] of wholeIn(prepared, now())) {
        const before = kept.get(id);
        if (before) drop(id, before);
        kept.set(id, entry);
        bytes += entry.bytes;
      }
      dropOld();
    },
    pages: (pages, maxBytes) => {
      dropOld();
      let total = 0;
      const found: OutputItem[][] = [];
      for (const { executionId, after, limit } of pages) {
        const entry = kept.get(executionId);
        total += entry?.bytes ?? 0;
        if (!entry || total > maxBytes) return null;
        const items = entry.items.flatMap((item, index) =>
          item.seq > after ? [{ ...item, output: outputIn(entry.bodies[index]) }] : [],
        );
        found.push(limit === null ? items : items.slice(0, limit));
      }
      return found;
    },
  };
}

function wholeIn({ commit, outputBodies }: PreparedCommit, at: number): Map<ExecutionId, Kept> {
  const whole = new Map<ExecutionId, Kept>();
  const outputs = commit.outputs ?? [];
  for (const [end, { executionId, seq, output }] of outputs.entries()) {
    const first = end - seq + 1;
    if (output.kind !== 'finish' || first < 0) continue;
    const all = outputs.slice(first, end + 1);
    if (!all.every((item, index) => item.executionId === executionId && item.seq === index + 1))
      continue;
    const bodies = outputBodies.slice(first, end + 1);
    const bytes = bodies.reduce((sum, body) => sum + body.bytes, 0);
    if (bytes > MAX_BYTES_EACH) continue;
    const items = all.map(({ output: _, ...item }) => item);
    whole.set(executionId, { items, bodies: bodies.map(({ json }) => json), bytes, at });
  }
  return whole;
}

function outputIn(body: string | undefined): Output | Finish {
  return JSON.parse(body ?? 'null') as Output | Finish;
}
