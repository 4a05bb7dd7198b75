/**
 * Output that many follow at a time. Whatever one follower of a stream has read, the others get from here: a page is read once,
 * however many ask for it at the same time, and the last pages are kept for those who are a little behind. Output only grows,
 * so a page that was read stays true. A stream is known here as long as somebody follows it.
 */

import type { OutputItem } from '../../domain/output.ts';
import type { FollowedPage } from '../../events/outputs/followedOutputs.ts';
import type { OutputCursor } from '../../events/queries/queries.ts';
import { createKeptPages, type StreamPages } from './keptPages.ts';
import { pullIterator } from './pullIterator.ts';
import { createTurns } from './turns.ts';

export interface OutputSource {
  /** The stream's name: those with the same follow the same. */
  readonly key: string;
  /** @param after null: from the very first */
  read(after: OutputCursor | null): Promise<FollowedPage>;
  /** Registers for wake-ups; the returned function ends that. */
  onWake(wake: () => void): () => void;
}

export interface SharedOutput {
  /** Live output after a cursor, pulled page by page. Ends with the stream's end. */
  follow(source: OutputSource, after: OutputCursor | null): AsyncIterableIterator<OutputItem>;
  /** How many follow the stream here. */
  followers(key: string): number;
  /** How many follow anything here. */
  readonly count: number;
}

export function createSharedOutput(): SharedOutput {
  const streams = new Map<string, SharedStream>();
  const keptPages = createKeptPages();
  const turn = createTurns();

  function streamOf(source: OutputSource): SharedStream {
    const known = streams.get(source.key);
    if (known) return known;
    const kept = keptPages.ofStream();
    const stream = createSharedStream(source, kept, () => {
      streams.delete(source.key);
      kept.clear();
    });
    streams.set(source.key, stream);
    return stream;
  }

  return {
    follow: (source, after) => {
      const stream = streamOf(source);
      let cursor = after;
      return pullIterator({
        read: async () => {
          const page = await stream.read(cursor);
          const last = page.items.at(-1);
          if (last) cursor = { executionId: last.executionId, seq: last.seq };
          return page;
        },
        onWake: stream.join,
        turn,
      });
    },
    followers: (key) => streams.get(key)?.followers ?? 0,
    get count() {
      return [...streams.values()].reduce((sum, { followers }) => sum + followers, 0);
    },
  };
}

interface SharedStream {
  readonly followers: number;
  read(after: OutputCursor | null): Promise<FollowedPage>;
  join(wake: () => void): () => void;
}

/** @param onLeft called when the last follower has left */
function createSharedStream(
  source: OutputSource,
  kept: StreamPages,
  onLeft: () => void,
): SharedStream {
  const wakes = new Map<symbol, () => void>();
  const reading = new Map<string, Promise<FollowedPage>>();
  /** What the last look behind a cursor said, where there was nothing; forgotten at each wake-up. */
  const nothing = new Map<string, FollowedPage>();
  let wakeUps = 0;

  const off = source.onWake(() => {
    wakeUps += 1;
    nothing.clear();
    // A copy: a follower may leave, or another come, while it is woken.
    for (const wake of [...wakes.values()]) wake();
  });

  async function look(key: string, after: OutputCursor | null): Promise<FollowedPage> {
    try {
      const before = wakeUps;
      const page = await source.read(after);
      // Woken meanwhile: there may be something by now.
      if (page.items.length === 0 && before === wakeUps) nothing.set(key, page);
      if (page.items.length > 0 && wakes.size > 1) kept.add(key, page);
      return page;
    } finally {
      reading.delete(key);
    }
  }

  return {
    get followers() {
      return wakes.size;
    },
    read: async (after) => {
      const key = after === null ? '' : `${after.executionId}:${after.seq}`;
      for (;;) {
        const known = kept.get(key) ?? nothing.get(key);
        if (known) return known;
        // One that is under way may have begun before the wake-up that made this follower ask.
        const under = reading.get(key) ?? look(key, after);
        reading.set(key, under);
        const page = await under;
        if (page.items.length > 0 || page.isEnd) return page;
      }
    },
    join: (wake) => {
      const follower = Symbol('follower');
      wakes.set(follower, wake);
      return () => {
        if (!wakes.delete(follower) || wakes.size > 0) return;
        off();
        onLeft();
      };
    },
  };
}
