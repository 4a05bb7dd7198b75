/**
 * The newest outputs of executions that somebody follows here, kept by the gateway that stored them: a follower that keeps up
 * is given them without a read. What is stored does not change until it is pruned, so they are what a read would give.
 */
import type { ExecutionId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import type { OutputBounds } from '../queries/queries.ts';
import type { PreparedCommit } from '../store/preparedCommit.ts';

/** Of all executions together: some commits of the busiest. Who is further behind reads. */
const MAX_BYTES = 4 * 1024 * 1024;
/** What each takes beside its JSON: a flood of tiny ones must count, too. */
const ITEM_OVERHEAD_BYTES = 256;
/** Followers look each second at least; what nobody asked for in this time is followed no more. */
const MAX_UNASKED_MS = 5_000;

export interface FollowedOutputs {
  /** Keeps its outputs of those executions that were asked for of late. */
  stored(commit: PreparedCommit): void;
  /**
   * The outputs after `after` that this gateway knows, none if it has stored nothing beyond since it was asked last. Null: read
   * them. So another gateway's outputs, of which a wake-up tells, are read at the second look at the latest.
   */
  after(executionId: ExecutionId, after: number, bounds: OutputBounds): FollowedPage | null;
}

/** What a follower is given. */
export interface FollowedPage {
  /** What follows its last, in order, without holes; none: nothing yet. */
  readonly items: readonly OutputItem[];
  /** Nothing will ever follow them. */
  readonly isEnd: boolean;
}

interface Kept {
  readonly item: OutputItem;
  readonly bytes: number;
}

interface Followed {
  /** Without holes. */
  kept: Kept[];
  /** Something was stored since it was last said that there is nothing more. */
  isNews: boolean;
  askedAt: number;
}

export function createFollowedOutputs(now = () => performance.now()): FollowedOutputs {
  /** Those asked for longest ago first. */
  const all = new Map<ExecutionId, Followed>();
  let bytes = 0;

  function letGo(followed: Followed, count: number): void {
    for (const kept of followed.kept.splice(0, count)) bytes -= kept.bytes;
  }

  function dropUnasked(): void {
    for (const [id, followed] of all) {
      if (now() - followed.askedAt <= MAX_UNASKED_MS) return;
      letGo(followed, followed.kept.length);
      all.delete(id);
    }
  }

  function asked(id: ExecutionId): Followed {
    const followed = all.get(id) ?? { kept: [], isNews: false, askedAt: 0 };
    all.delete(id);
    all.set(id, followed);
    followed.askedAt = now();
    return followed;
  }

  function keep(followed: Followed, kept: Kept): void {
    const last = followed.kept.at(-1);
    if (last && last.item.seq + 1 !== kept.item.seq) letGo(followed, followed.kept.length);
    followed.kept.push(kept);
    followed.isNews = true;
    bytes += kept.bytes;
  }

  function keepWithinBounds(): void {
    for (const followed of all.values())
      while (bytes > MAX_BYTES && followed.kept.length > 0) letGo(followed, 1);
  }

  return {
    stored: ({ commit: { outputs = [] }, outputBodies }) => {
      dropUnasked();
      for (const [index, item] of outputs.entries()) {
        const followed = all.get(item.executionId);
        const size = outputBodies[index]?.bytes ?? 0;
        if (followed) keep(followed, { item, bytes: size + ITEM_OVERHEAD_BYTES });
      }
      keepWithinBounds();
    },
    after: (executionId, after, bounds) => {
      dropUnasked();
      const followed = asked(executionId);
      const page = pageOf(followed.kept, after, bounds);
      if (page === null || page.items.length > 0) return page;
      if (!followed.isNews) return null;
      followed.isNews = false;
      return page;
    },
  };
}

/** Null: what comes next may not be among them. */
function pageOf(
  kept: readonly Kept[],
  after: number,
  { limit, maxBytes }: OutputBounds,
): FollowedPage | null {
  const [first] = kept;
  if (!first || after + 1 < first.item.seq) return null;
  const from = after + 1 - first.item.seq;
  if (from > kept.length) return null;
  const items: OutputItem[] = [];
  let bytes = 0;
  for (const next of kept.slice(from, from + limit)) {
    if (bytes >= maxBytes) break;
    items.push(next.item);
    bytes += next.bytes;
  }
  const last = items.at(-1) ?? kept.at(-1)?.item;
  return { items, isEnd: last?.output.kind === 'finish' };
}
