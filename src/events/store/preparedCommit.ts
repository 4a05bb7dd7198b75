/** A commit with everything computed that does not depend on its group. */
import { type EntityState, fold, type StreamKind } from '../../domain/entities.ts';
import { type DomainEvent, streamIdOf } from '../../domain/events.ts';
import { jsonText } from '../../domain/exactJson.ts';
import type { EventId, NewId } from '../../domain/ids.ts';
import { UNSTORABLE } from '../../domain/text.ts';
import type { Commit, StreamAppend } from './eventStore.ts';

/** Joins items that are JSON text already into a JSON array. Null if there are none. */
export function jsonArray(items: readonly string[]): string | null {
  return items.length > 0 ? `[${items.join(',')}]` : null;
}

// PostgreSQL's `jsonb` and `text` refuse U+0000 and lone surrogates, but code and its output can contain both. Event
// data keeps such a string as `{"$escaped": "<its JSON>"}`, which SQL can still read. Everything else is stored
// unchanged.

const ESCAPE_KEY = '$escaped';

/** `value` as JSON text that a `jsonb` column accepts. {@link decodeJson} returns the same value. */
export function encodeJson(value: unknown): string {
  const plain = JSON.stringify(value);
  // The quick test: most text contains neither these escapes of JSON.stringify nor the ESCAPE_KEY itself.
  if (!/\\u0000|\\ud[89a-f]|\$escaped/.test(plain)) return plain;
  return JSON.stringify(value, escapeValue);
}

/** The value that was given to {@link encodeJson}, from its parsed JSON. */
export function decodeJson(stored: unknown): unknown {
  if (Array.isArray(stored)) return stored.map(decodeJson);
  if (!isRecord(stored)) return stored;
  const escaped = stored[ESCAPE_KEY];
  if (typeof escaped === 'string') return JSON.parse(escaped);
  return Object.fromEntries(Object.entries(stored).map(([key, item]) => [key, decodeJson(item)]));
}

function escapeValue(_key: string, value: unknown): unknown {
  const isOdd =
    typeof value === 'string'
      ? UNSTORABLE.test(value)
      : isRecord(value) && Object.hasOwn(value, ESCAPE_KEY);
  return isOdd ? { [ESCAPE_KEY]: JSON.stringify(value) } : value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/**
 * A commit with everything that must not change if it is sent again: event ids, versions, states, bytes.
 */
export interface PreparedCommit {
  readonly commit: Commit;
  readonly events: readonly PreparedEvent[];
  /** In the order of `commit.streams`. */
  readonly states: readonly EntityState[];
  /** In the order of `commit.outputs`. */
  readonly outputBodies: readonly OutputBody[];
  /**
   * Names of the things it writes. Two commits that both name a thing here never share a group: the later one waits.
   */
  readonly exclusive: ReadonlySet<string>;
  /**
   * Names of the things that it does not write, but that must not have changed. Commits with the same name here may
   * share a group, but not with a commit that writes the thing.
   */
  readonly shared: ReadonlySet<string>;
  /** When the commit was requested, by `performance.now()`. */
  readonly askedAt: number;
  /** Roughly how many bytes it sends. */
  readonly bytes: number;
}

interface PreparedEvent {
  readonly eventId: EventId;
  readonly kind: StreamKind;
  readonly id: string;
  readonly version: number;
  readonly event: DomainEvent;
  readonly causationId: EventId | null;
  readonly correlationId: string;
  readonly data: string;
}

interface OutputBody {
  /**
   * JSON text. U+0000 and lone surrogates are escaped in it. A `json` column keeps these escapes, and all digits of a
   * number.
   */
  readonly json: string;
  readonly bytes: number;
}

/** @throws Error if an append has no state and its events do not begin the stream */
export function prepareCommit(commit: Commit, newId: NewId): PreparedCommit {
  const events = linked(
    commit.streams.flatMap((append) => prepareEvents(append, newId)),
    commit.causationId,
  );
  const outputBodies = (commit.outputs ?? []).map(({ output }) => outputBody(output));
  const sizes = [...events.map(({ data }) => data.length), ...outputBodies.map((b) => b.bytes)];
  return {
    commit,
    events,
    states: commit.streams.map(({ stream, state, events }) => fold(stream, state, events)),
    outputBodies,
    askedAt: performance.now(),
    exclusive: exclusiveNames(commit),
    shared: new Set((commit.openSessions ?? []).map(({ id }) => streamIdOf('session', id))),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

type Unlinked = Omit<PreparedEvent, 'causationId' | 'correlationId'>;

function prepareEvents(append: StreamAppend, newId: NewId): Unlinked[] {
  const { stream: kind, id, events } = append;
  const before = append.state?.version ?? 0;
  return events.map((event, index) => ({
    eventId: newId<EventId>(),
    kind,
    id,
    version: before + index + 1,
    event,
    data: encodeJson(event.data),
  }));
}

/** Adds the causation id and the correlation id to each event (see {@link EventMetadata}). */
function linked(events: readonly Unlinked[], cause: Commit['causationId']): PreparedEvent[] {
  const [first] = events;
  const isChain = cause === 'first-event';
  const request = isChain ? undefined : events.find(({ kind }) => kind === 'execution');
  return events.map((event) => {
    const own = event.kind === 'execution' ? event.id : null;
    const inChain = event === first ? null : (first?.eventId ?? null);
    return {
      ...event,
      causationId: isChain ? inChain : (cause ?? null),
      correlationId: own ?? request?.id ?? first?.eventId ?? event.eventId,
    };
  });
}

function outputBody(output: unknown): OutputBody {
  const json = jsonText(output);
  return { json, bytes: Buffer.byteLength(json) };
}

function exclusiveNames({ streams, outputs, cursor, idempotency }: Commit): Set<string> {
  const names = new Set(streams.map(({ stream, id }) => streamIdOf(stream, id)));
  for (const { executionId } of outputs ?? []) names.add(streamIdOf('execution', executionId));
  if (cursor) names.add(`cursor-${cursor.workerId}`);
  if (idempotency) {
    const { tenant, userUuid, key } = idempotency;
    names.add(`key-${JSON.stringify([tenant, userUuid, key])}`);
  }
  return names;
}
