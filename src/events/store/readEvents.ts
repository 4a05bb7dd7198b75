/** Reads events, and decodes their rows. */
import { STREAM_KINDS } from '../../domain/entities.ts';
import {
  type DomainEvent,
  EVENT_TYPES,
  type EventMetadata,
  parseStreamId,
  type RecordedEvent,
} from '../../domain/events.ts';
import type { EventId } from '../../domain/ids.ts';
import { upcast } from '../../domain/upcasts.ts';
import type { Client } from '../connection/client.ts';
import { decodeJson } from './preparedCommit.ts';

export interface EventRow {
  readonly position: number;
  readonly eventId: string;
  readonly streamId: string;
  readonly version: number;
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: unknown;
  readonly metadata: unknown;
  readonly recordedAt: Date;
}

/** All event types of this release, for queries that skip events which only a later release knows. */
export const KNOWN_TYPES: readonly string[] = [...EVENT_TYPES];

/** Whether this release knows the event's type and entity. */
function isKnown({ streamId, type }: EventRow): boolean {
  return EVENT_TYPES.has(type) && STREAM_KINDS.some((kind) => streamId.startsWith(`${kind}-`));
}

/** The event in a row, in its current shape. */
export function decodeEvent(row: EventRow): RecordedEvent {
  const { kind, id } = parseStreamId(row.streamId);
  const metadata = row.metadata as Omit<EventMetadata, 'eventId'>;
  return {
    position: row.position,
    streamKind: kind,
    streamId: id,
    version: row.version,
    schemaVersion: row.schemaVersion,
    // Only commit() writes events, and it accepts only domain events.
    event: upcast(row.type as DomainEvent['type'], row.schemaVersion, decodeJson(row.data)),
    metadata: {
      ...metadata,
      eventId: row.eventId as EventId,
      correlationId: metadata.correlationId ?? null,
      actor: metadata.actor ?? null,
    },
    recordedAt: row.recordedAt,
  };
}

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
