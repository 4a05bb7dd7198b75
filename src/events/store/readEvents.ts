import type { RecordedEvent } from '../../domain/events.ts';
import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow, isKnown } from './eventCodec.ts';

/** Of a page, as JSON in the database; one event alone may hold more. A piece of code can be megabytes. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** Events after `position` in commit order: at most `limit`, and fewer where they are large. None: there are no more. */
export async function readAfter(
  client: Client,
  position: number,
  limit: number,
): Promise<RecordedEvent[]> {
  return (await readRows(client, position, limit)).map(decodeEvent);
}

export interface KnownEvents {
  readonly events: readonly RecordedEvent[];
  /** Of the last that was read, known or not; where reading began: there are no more. */
  readonly position: number;
}

/**
 * The same, without the events of entities or types that only a later release knows: during a rolling update it alone acts on those.
 */
export async function readKnownAfter(
  client: Client,
  position: number,
  limit: number,
): Promise<KnownEvents> {
  const rows = await readRows(client, position, limit);
  const events = rows.filter(isKnown).map(decodeEvent);
  return { events, position: rows.at(-1)?.position ?? position };
}

async function readRows({ sql, answered }: Client, position: number, limit: number) {
  return await answered(sql<EventRow[]>`
    SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at
    FROM cellhouse_read_after(${position}, ${limit}, ${MAX_PAGE_BYTES})`);
}

/** The position of the last event; 0 if there is none. */
export async function readLastPosition({ sql, answered }: Client): Promise<number> {
  const [row] = await answered(sql<{ position: number }[]>`
    SELECT coalesce(max(position), 0) AS position FROM events`);
  return row?.position ?? 0;
}
