/** The last pages of followed output, for followers a little behind: so much of each stream, and so much of all together. */

import { outputSize } from '../../domain/outputSize.ts';
import type { FollowedPage } from '../../events/outputs/followedOutputs.ts';

/** What is kept of one stream: enough for followers that are seconds apart; who is further behind reads by itself. */
const STREAM_BYTES = 2 * 1024 * 1024;
/** Of all streams: 16 in full. Beyond that the followers that are behind read more, and memory stays what it is. */
const TOTAL_BYTES = 32 * 1024 * 1024;

/** One stream's, by the cursor that they follow. */
export interface StreamPages {
  get(cursor: string): FollowedPage | undefined;
  /** Keeps it, and lets go of older ones: first of this stream, then of whichever; never of this one itself. */
  add(cursor: string, page: FollowedPage): void;
  /** Lets go of all. */
  clear(): void;
}

export interface KeptPages {
  ofStream(): StreamPages;
}

interface Kept {
  readonly page: FollowedPage;
  letGo(): void;
}

export function createKeptPages(): KeptPages {
  /** Of all streams, oldest first. */
  const all = new Set<Kept>();
  let total = 0;

  function ofStream(): StreamPages {
    const pages = new Map<string, Kept>();
    let size = 0;
    return {
      get: (cursor) => pages.get(cursor)?.page,
      add: (cursor, page) => {
        pages.get(cursor)?.letGo();
        const bytes = sizeOf(page);
        const letGo = () => {
          pages.delete(cursor);
          all.delete(kept);
          size -= bytes;
          total -= bytes;
        };
        const kept = { page, letGo };
        pages.set(cursor, kept);
        all.add(kept);
        size += bytes;
        total += bytes;
        letGoWhile(() => size > STREAM_BYTES, pages.values(), kept);
        letGoWhile(() => total > TOTAL_BYTES, all, kept);
      },
      clear: () => {
        for (const { letGo } of pages.values()) letGo();
      },
    };
  }
  return { ofStream };
}

function letGoWhile(isTooMuch: () => boolean, oldestFirst: Iterable<Kept>, newest: Kept): void {
  for (const kept of oldestFirst) {
    if (kept === newest || !isTooMuch()) return;
    kept.letGo();
  }
}

function sizeOf({ items }: FollowedPage): number {
  return items.reduce((sum, { output }) => sum + outputSize(output), 0);
}
