/**
 * Every event that Cellhouse records. Names are past tense. Each entity (`entities.ts`) has streams called
 * `<kind>-<id>`. Its events, and what they do to its state, are in the entity's own file.
 */
import { ENTITIES, type EventOf, isStreamKind, STREAM_KINDS, type StreamKind } from './entities.ts';
import type { EventId } from './ids.ts';
import type { Door, Role } from './token.ts';

export type DomainEvent = EventOf<StreamKind>;

/** An event as stored. */
export interface RecordedEvent<E extends DomainEvent = DomainEvent> {
  /**
   * The event's place in the commit order of all streams, from 1. A reader that has got position n never gets a smaller
   * one later.
   */
  readonly position: number;
  readonly streamKind: StreamKind;
  readonly streamId: string;
  /** The event's number within its stream: from 1, without holes. */
  readonly version: number;
  /** The schema version in which it was stored. `event` already has the current shape (`upcasts.ts`). */
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
   * The id that joins events that belong together. It is the execution's id for all events of an execution, and for
   * events of other streams in the same commit: SessionOpened and WorkerAssigned together with ExecutionRequested, for
   * example. For all other events it is the id of the first event of their commit. Null for events recorded before
   * correlation ids existed.
   */
  readonly correlationId: string | null;
  /** Who caused it. Null if a gateway caused it by itself, or if the event was recorded before actors existed. */
  readonly actor: Actor | null;
}

/** The holder of a token, as far as the audit needs to know. */
export interface Actor {
  /** The id of the token: `auth-token` is AUTH_TOKEN, `cli` the command `cellhouse`. */
  readonly token: string;
  readonly role: Role;
  readonly tenant: string;
  /** The protocol through which the call came. */
  readonly door: Door | 'cli';
}

/** A person who can run the command `cellhouse` can also access the database. So the command may do everything. */
export const CLI_ACTOR = {
  token: 'cli',
  role: 'OPERATOR',
  tenant: 'default',
  door: 'cli',
} as const satisfies Actor;

/** The names of all event types. */
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
