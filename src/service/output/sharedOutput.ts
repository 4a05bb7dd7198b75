/**
 * Output that many follow at a time. What is read for one follower is read for all who ask at the same time. Those who
 * come a little later find it in the gateway's memory. A stream is known here as long as somebody follows it.
 */

import type { OutputCursor, OutputItem, OutputsRead } from '../../domain/output.ts';
import { pullIterator } from './pullIterator.ts';
import { createTurns } from './turns.ts';

export interface OutputSource {
  /** The stream's name: those with the same follow the same. */
  readonly key: string;
  /** @param after null: from the very first */
  read(after: OutputCursor | null): Promise<OutputsRead>;
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
  const turn = createTurns();

  function streamOf(source: OutputSource): SharedStream {
    const known = streams.get(source.key);
    if (known) return known;
    const stream = createSharedStream(source, () => streams.delete(source.key));
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
  read(after: OutputCursor | null): Promise<OutputsRead>;
  join(wake: () => void): () => void;
}

/** @param onLeft called when the last follower has left */
function createSharedStream(source: OutputSource, onLeft: () => void): SharedStream {
  const wakes = new Map<symbol, () => void>();
  /** The looks since the last wake-up that are under way or found nothing, by their cursor. */
  const looks = new Map<string, Promise<OutputsRead>>();

  const off = source.onWake(() => {
    // One that is under way may have begun before what this tells of was stored: nobody who is woken may join it.
    looks.clear();
    // A copy: a follower may leave, or another come, while it is woken.
    for (const wake of [...wakes.values()]) wake();
  });

  function look(key: string, after: OutputCursor | null): Promise<OutputsRead> {
    const begun = source.read(after);
    const forget = () => looks.get(key) === begun && looks.delete(key);
    looks.set(key, begun);
    begun.then(({ items }) => items.length > 0 && forget(), forget);
    return begun;
  }

  return {
    get followers() {
      return wakes.size;
    },
    read: (after) => {
      const key = after === null ? '' : `${after.executionId}:${after.seq}`;
      return looks.get(key) ?? look(key, after);
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
