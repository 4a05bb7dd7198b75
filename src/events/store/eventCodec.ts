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
import { decodeJson } from './jsonText.ts';

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
export function isKnown({ streamId, type }: EventRow): boolean {
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
