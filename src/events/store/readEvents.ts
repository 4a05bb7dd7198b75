import type { Client } from '../client.ts';
import { decodeEvent, type EventRow } from '../eventCodec.ts';
import type { RecordedEvent, StreamKind } from '../eventTypes.ts';
import { streamIdOf } from '../streamId.ts';

/** One page; an event holds at most one piece of code, so this bounds memory well enough. */
const DEFAULT_PAGE_EVENTS = 500;

/** Events after `position` in commit order, at most `limit`. */
export async function readAfter(
  { sql, answered }: Client,
  position: number,
  limit = DEFAULT_PAGE_EVENTS,
): Promise<RecordedEvent[]> {
  const rows = await answered(sql<EventRow[]>`
    SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at
    FROM events WHERE position > ${position} ORDER BY position LIMIT ${limit}`);
  return rows.map(decodeEvent);
}

/** All events of one stream, oldest first. */
export async function readStream(
  { sql, answered }: Client,
  kind: StreamKind,
  id: string,
): Promise<RecordedEvent[]> {
  const rows = await answered(sql<EventRow[]>`
    SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at
    FROM events WHERE stream_id = ${streamIdOf(kind, id)} ORDER BY version`);
  return rows.map(decodeEvent);
}

/** The position of the last event; 0 if there is none. */
export async function readLastPosition({ sql, answered }: Client): Promise<number> {
  const [row] = await answered(sql<{ position: number }[]>`
    SELECT coalesce(max(position), 0) AS position FROM events`);
  return row?.position ?? 0;
}
