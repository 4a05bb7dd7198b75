/**
 * Output with many followers. Followers that ask for the same output at the same time share one read. Those that ask a
 * little later find it in the gateway's memory (freshOutputs.ts). A stream has an entry here as long as somebody
 * follows it.
 */

import type { OutputCursor, OutputItem, OutputsRead } from '../../domain/output.ts';
import { NEVER, type TokenEnd } from '../access/tokenEnd.ts';
import { pullIterator } from './pullIterator.ts';
import { createTurns } from './turns.ts';

export interface OutputSource {
  /** The stream's name. Sources with the same key give the same outputs. */
  readonly key: string;
  /** @param after null: from the first output on */
  read(after: OutputCursor | null): Promise<OutputsRead>;
  /** Registers for wake-ups, until the returned function is called. */
  onWake(wake: () => void): () => void;
}

export interface SharedOutput {
  /**
   * Live output after a cursor, pulled page by page. Ends when the stream ends.
   * @param tokenEnd the end of the follower's token. Left out: the token never ends.
   */
  follow(
    source: OutputSource,
    after: OutputCursor | null,
    tokenEnd?: TokenEnd,
  ): AsyncIterableIterator<OutputItem>;
  /** How many followers the stream has on this gateway. */
  followers(key: string): number;
  /** How many followers all streams have on this gateway. */
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
    follow: (source, after, tokenEnd = NEVER) => {
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
        turn: () => tokenEnd.fresh()?.then(turn) ?? turn(),
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
  /** Reads since the last wake-up, by cursor: those that are under way, and those that found nothing. */
  const reads = new Map<string, Promise<OutputsRead>>();

  const off = source.onWake(() => {
    // A read that is under way may have begun before the new output was stored, so woken followers must not join it.
    reads.clear();
    // A copy, because followers may join or leave during the calls.
    for (const wake of [...wakes.values()]) wake();
  });

  function read(key: string, after: OutputCursor | null): Promise<OutputsRead> {
    const begun = source.read(after);
    const forget = () => reads.get(key) === begun && reads.delete(key);
    reads.set(key, begun);
    begun.then(({ items }) => items.length > 0 && forget(), forget);
    return begun;
  }

  return {
    get followers() {
      return wakes.size;
    },
    read: (after) => {
      const key = after === null ? '' : `${after.executionId}:${after.seq}`;
      return reads.get(key) ?? read(key, after);
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
