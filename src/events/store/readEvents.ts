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

/** A place in the history: the event at this position has this id. At position 0 there is none. */
export interface HistoryMark {
  readonly position: number;
  readonly eventId: string | null;
}

export interface KnownEvents {
  readonly events: readonly RecordedEvent[];
  /** The last event read, known or not. Null if there are no more events. */
  readonly last: HistoryMark | null;
  /** False: the event where reading began has been replaced by another one, see {@link hasHistoryUpTo}. */
  readonly isWhole: boolean;
}

/**
 * Like {@link readAfter}, from the event of `mark` on, but without events of entities or types that only a later release
 * knows. During a rolling update, only gateways of the later release act on those.
 */
export async function readKnownAfter(
  client: Client,
  mark: HistoryMark,
  limit: number,
): Promise<KnownEvents> {
  const rows = await readRows(client, mark.position, limit);
  const events = rows.filter(isKnown).map(decodeEvent);
  const last = rows.at(-1);
  const before = last?.eventBefore ?? null;
  return {
    events,
    last: last ? { position: last.position, eventId: last.eventId } : null,
    isWhole: before === null || before === mark.eventId,
  };
}

async function readRows({ sql, answered }: Client, position: number, limit: number) {
  return await answered(sql<(EventRow & { eventBefore: string | null })[]>`
    SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at,
      (SELECT at.event_id FROM events at WHERE at.position = ${position}) AS event_before
    FROM cellhouse_read_after(${position}, ${limit}, ${MAX_PAGE_BYTES})`);
}

/** The place of the last event. */
export async function readLastMark({ sql, answered }: Client): Promise<HistoryMark> {
  const [row] = await answered(sql<HistoryMark[]>`
    SELECT position, event_id FROM events ORDER BY position DESC LIMIT 1`);
  return row ?? { position: 0, eventId: null };
}

/** The position of the last event; 0 if there is none. */
export async function readLastPosition(client: Client): Promise<number> {
  return (await readLastMark(client)).position;
}

/**
 * Whether the history up to this place is still in the database. It is not if the database was replaced by an older
 * copy of itself, such as a standby that did not have the last commits. The event itself may have been pruned, but the
 * newest event never is.
 */
export async function hasHistoryUpTo(
  { sql, answered }: Client,
  { position, eventId }: HistoryMark,
): Promise<boolean> {
  const [row] = await answered(sql<{ last: number; found: string | null }[]>`
    SELECT coalesce(max(e.position), 0) AS last,
      (SELECT at.event_id FROM events at WHERE at.position = ${position}) AS found
    FROM events e`);
  if (row === undefined || row.last < position) return false;
  return row.found === null || row.found === eventId;
}
