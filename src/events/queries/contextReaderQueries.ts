import type { ContextPlace } from '../../domain/contextPlace.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

/** A follower of a context that has a name, under which it can come back. */
export interface ContextReader {
  readonly sessionId: SessionId;
  /** The id of the context. For the default context, that of the session. */
  readonly contextId: string;
  /** A hash of the follower's name. */
  readonly reader: string;
}

export type ReachedPlace = ContextReader & ContextPlace;

/** How many readers of a context are remembered: those that have read on most recently. */
const MAX_READERS = 32;

/** How far the readers of contexts have come, as they have acknowledged it. */
export function createContextReaderQueries({ sql, answered }: Client) {
  return {
    /** How far the reader has come. Null if that is not known. */
    readerPlace: async ({ contextId, reader }: ContextReader): Promise<ContextPlace | null> =>
      firstOrNull(
        await answered(sql<ContextPlace[]>`
          SELECT position, seq FROM context_readers
          WHERE context_id = ${contextId} AND reader = ${reader}`),
      ),

    /**
     * Records how far readers have come. A reader's place never moves back. Nothing is recorded for a session that has
     * ended.
     */
    recordReaders: async (places: readonly ReachedPlace[]): Promise<void> => {
      // Always in the same order, so that two gateways never wait for each other.
      await answered(sql`
        INSERT INTO context_readers AS r (context_id, reader, session_id, position, seq, reached_at)
        SELECT n."contextId", n.reader, n."sessionId", n.position, n.seq, clock_timestamp()
        FROM json_to_recordset(${JSON.stringify(places)}::text::json)
          AS n ("contextId" uuid, reader text, "sessionId" uuid, position bigint, seq integer)
        JOIN sessions s ON s.id = n."sessionId" AND s.closed_at IS NULL
        ORDER BY n."contextId", n.reader
        ON CONFLICT (context_id, reader) DO UPDATE
          SET position = excluded.position, seq = excluded.seq, reached_at = excluded.reached_at
          WHERE (r.position, r.seq) < (excluded.position, excluded.seq)`);
    },

    /** Forgets the readers of a context beyond {@link MAX_READERS}. */
    trimReaders: async (contextId: string): Promise<void> => {
      await answered(sql`
        DELETE FROM context_readers r USING (
          SELECT context_id, reader FROM context_readers WHERE context_id = ${contextId}
          ORDER BY reached_at DESC, reader OFFSET ${MAX_READERS}
        ) old WHERE r.context_id = old.context_id AND r.reader = old.reader`);
    },
  };
}
