/**
 * Every fact Cellhouse records. Names are past tense. Each entity (`entities.ts`) has its streams, called `<kind>-<id>`, and
 * its events are in its own file with what they do.
 */
import { ENTITIES, type EventOf, isStreamKind, STREAM_KINDS, type StreamKind } from './entities.ts';
import type { EventId } from './ids.ts';

export type DomainEvent = EventOf<StreamKind>;

/** An event as stored. */
export interface RecordedEvent<E extends DomainEvent = DomainEvent> {
  /** Commit order over all streams: whoever has seen n will never later meet a smaller one. From 1. */
  readonly position: number;
  readonly streamKind: StreamKind;
  readonly streamId: string;
  /** From 1, without holes within its stream. */
  readonly version: number;
  /** What it was stored as; `event` has the shape of today (`upcasts.ts`). */
  readonly schemaVersion: number;
  readonly event: E;
  readonly metadata: EventMetadata;
  readonly recordedAt: Date;
}

export interface EventMetadata {
  readonly eventId: EventId;
  /** The gateway that appended it. */
  readonly gatewayId: string;
  /** The event that caused this one, where there is one. */
  readonly causationId: EventId | null;
  /**
   * What belongs together: the execution's id for all that is recorded on an execution's behalf (also the session it opened
   * and the worker it took), else the id of the first event of its commit. Null: recorded before there was one.
   */
  readonly correlationId: string | null;
}

/** The name of every event that is recorded. */
export const EVENT_TYPES: ReadonlySet<string> = new Set(
  STREAM_KINDS.flatMap((kind) => Object.keys(ENTITIES[kind].eventTypes)),
);

/** `worker-<id>`, `session-<id>`, ... */
export function streamIdOf(kind: StreamKind, id: string): string {
  return `${kind}-${id}`;
}

/** The parts of a stream's name. @throws Error for a name that {@link streamIdOf} did not make */
export function parseStreamId(streamId: string): { kind: StreamKind; id: string } {
  const [, kind = '', id = ''] = /^([^-]+)-(.+)$/.exec(streamId) ?? [];
  if (!isStreamKind(kind)) throw new Error(`There is no stream called ${streamId}.`);
  return { kind, id };
}
