import { randomBytes } from 'node:crypto';
import { type EventText, leafOf } from '../../chain/leaf.ts';
import type { Sql } from '../../connection/client.ts';
import type { RemovedEvent } from '../recordRemoval.ts';

/** As long as the salts that `cellhouse_seal` makes. */
const SALT_BYTES = 16;

/** What is left of an event. */
export interface EmptiedEvent {
  readonly position: number;
  /** Null: unchanged. */
  readonly stream_id: string | null;
  /** Null: unchanged. */
  readonly data: unknown;
  readonly metadata: unknown;
}

/**
 * Writes what is left of these events. An event that was deleted meanwhile is left out.
 * @returns a new hash of each, as the audit chain hashes events, with a new salt
 */
export async function emptyEvents(
  sql: Sql,
  events: readonly EmptiedEvent[],
): Promise<RemovedEvent[]> {
  if (events.length === 0) return [];
  const emptied = await sql<EventText[]>`
    UPDATE events e SET stream_id = coalesce(n.stream_id, e.stream_id), data = coalesce(n.data, e.data), metadata = n.metadata
    FROM json_to_recordset(${JSON.stringify(events)}::text::json)
      AS n (position bigint, stream_id text, data jsonb, metadata jsonb)
    WHERE e.position = n.position
    RETURNING e.position, e.event_id::text, e.stream_id, e.version::text, e.type, e.schema_version::text,
      extract(epoch FROM e.recorded_at)::text AS recorded_at, e.metadata::text, e.data::text`;
  return emptied.map((event) => {
    const salt = randomBytes(SALT_BYTES);
    return { position: event.position, left: { leaf: leafOf(salt, event), salt } };
  });
}
