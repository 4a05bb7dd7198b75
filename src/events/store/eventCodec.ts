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

/** For questions that pass over what only a later release knows: the types of all events of this one. */
export const KNOWN_TYPES: readonly string[] = [...EVENT_TYPES];

/** Whether it is of this release, or of one before. */
export function isKnown({ streamId, type }: EventRow): boolean {
  return EVENT_TYPES.has(type) && STREAM_KINDS.some((kind) => streamId.startsWith(`${kind}-`));
}

/** An event as it was committed, from its row. */
export function decodeEvent(row: EventRow): RecordedEvent {
  const { kind, id } = parseStreamId(row.streamId);
  const metadata = row.metadata as Omit<EventMetadata, 'eventId'>;
  return {
    position: row.position,
    streamKind: kind,
    streamId: id,
    version: row.version,
    schemaVersion: row.schemaVersion,
    // Only commit() writes here, and it takes nothing but domain events.
    event: upcast(row.type as DomainEvent['type'], row.schemaVersion, decodeJson(row.data)),
    metadata: {
      ...metadata,
      eventId: row.eventId as EventId,
      correlationId: metadata.correlationId ?? null,
    },
    recordedAt: row.recordedAt,
  };
}
