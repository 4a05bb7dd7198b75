import type { RecordedEvent } from '../../domain/events.ts';
import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow, isKnown } from './eventCodec.ts';

/**
 * Limit for a page, as JSON in the database, because a piece of code can be megabytes. A single event may be larger.
 */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/**
 * Events after `position` in commit order: at most `limit`, fewer if they are large. An empty page means there are no
 * more.
 */
export async function readAfter(
  client: Client,
  position: number,
  limit: number,
): Promise<RecordedEvent[]> {
  return (await readRows(client, position, limit)).map(decodeEvent);
}

export interface KnownEvents {
  readonly events: readonly RecordedEvent[];
  /**
   * Position of the last event read, known or not. Equal to the position where reading began if there are no more
   * events.
   */
  readonly position: number;
}

/**
 * Like {@link readAfter}, but without events of entities or types that only a later release knows. During a rolling
 * update, only gateways of the later release act on those.
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
