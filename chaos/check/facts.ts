/** Derives the executions, sessions and workers of a run from the events in its history. */
import type { DomainEvent, RecordedEvent } from '../../src/domain/events.ts';
import type { EndStatus } from '../../src/domain/execution.ts';
import { keyInCode, type RunMark, runMarkOf } from '../clients/cells.ts';
import { type CommandMark, commandMarkOf } from '../clients/shellCells.ts';
import type { CallRecord, CellKind, History, StoredOutput } from '../history.ts';

/**
 * Something that must not happen. `lost`: an execution, output, state or session was lost, or its cause or order.
 * `doubled`: something happened or was reported twice. `orphan`: something was left over at rest.
 */
export interface Violation {
  readonly type: 'lost' | 'doubled' | 'orphan';
  readonly what: string;
}

export const lost = (what: string): Violation => ({ type: 'lost', what });
export const doubled = (what: string): Violation => ({ type: 'doubled', what });
export const orphan = (what: string): Violation => ({ type: 'orphan', what });

/** `Map.groupBy`, which Node 20 lacks. Items keep their order, and keys are in the order of their first item. */
export function groupBy<T, Key>(items: readonly T[], keyOf: (item: T) => Key): Map<Key, T[]> {
  const groups = new Map<Key, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

export interface ExecutionFacts {
  readonly id: string;
  readonly user: string;
  /** The wire over which it was requested. */
  readonly wire: string;
  readonly sessionId: string;
  readonly workerId: string;
  /** Its idempotency key. If the clients of its wire send none: the key in its code. */
  readonly key: string | null;
  /** Null if no client has recorded a call with its key. */
  readonly cell: CellKind | null;
  readonly isCommand: boolean;
  /** Null: the default context, or a command. */
  readonly contextId: string | null;
  readonly position: number;
  readonly requestedAt: number;
  readonly ends: readonly ExecutionEnd[];
  readonly outputs: readonly StoredOutput[];
  /** The text of its streams, shortened by `compact`. */
  readonly text: string;
  /** The mark that a cell prints. Null for a command. */
  readonly mark: RunMark | null;
  readonly commandMark: CommandMark | null;
  readonly hasGap: boolean;
}

interface ExecutionEnd {
  readonly status: EndStatus;
  readonly errorName: string | null;
  readonly stateLost: boolean;
  readonly truncated: boolean;
  readonly exitCode: number | null;
  readonly signal?: string | null;
  readonly at: number;
}

export interface SessionFacts {
  readonly id: string;
  readonly user: string;
  readonly workerId: string;
  readonly openedAt: number;
  readonly closes: readonly { readonly reason: string; readonly at: number }[];
}

export interface ContextFacts {
  readonly id: string;
  readonly user: string;
  readonly sessionId: string;
  readonly workerId: string;
  readonly name: string | null;
  readonly createdAt: number;
  readonly ends: readonly { readonly reason: string; readonly at: number }[];
}

export interface WorkerFacts {
  readonly id: string;
  readonly requestedAt: number;
  readonly isReady: boolean;
  readonly losses: readonly { readonly reason: string; readonly at: number }[];
}

export interface Facts {
  readonly history: History;
  /** In the order in which they were accepted. */
  readonly executions: readonly ExecutionFacts[];
  readonly executionOf: ReadonlyMap<string, ExecutionFacts>;
  readonly sessions: readonly SessionFacts[];
  readonly workers: readonly WorkerFacts[];
  /** In the order in which they were created. Without the default ones. */
  readonly contexts: readonly ContextFacts[];
  /** Events of each stream, in order of position. */
  readonly streams: ReadonlyMap<string, readonly RecordedEvent[]>;
}

export function factsOf(history: History): Facts {
  const streams = groupBy(history.events, ({ streamId }) => streamId);
  const outputs = groupBy(history.outputs, ({ executionId }) => executionId);
  const cells = new Map(
    history.calls.flatMap(({ key, cell }) => (key && cell ? [[key, cell]] : [])),
  );
  const executions = ofType(history.events, 'ExecutionRequested').map((requested) =>
    executionFacts(requested, {
      events: streams.get(requested.streamId) ?? [],
      outputs: outputs.get(requested.streamId) ?? [],
      cells,
    }),
  );
  return {
    history,
    executions,
    executionOf: new Map(executions.map((each) => [each.id, each])),
    sessions: ofType(history.events, 'SessionOpened').map(({ streamId, event }) => ({
      id: streamId,
      user: event.data.userUuid,
      workerId: event.data.workerId,
      openedAt: Date.parse(event.data.at),
      closes: reasons(streams.get(streamId) ?? [], 'SessionClosed'),
    })),
    workers: ofType(history.events, 'WorkerRequested').map(({ streamId, event }) => ({
      id: streamId,
      requestedAt: Date.parse(event.data.at),
      isReady: ofType(streams.get(streamId) ?? [], 'WorkerReady').length > 0,
      losses: reasons(streams.get(streamId) ?? [], 'WorkerLost'),
    })),
    contexts: ofType(history.events, 'ContextCreated').map(({ streamId, event: { data } }) => ({
      id: streamId,
      user: data.userUuid,
      sessionId: data.sessionId,
      workerId: data.workerId,
      name: data.name,
      createdAt: Date.parse(data.at),
      ends: reasons(streams.get(streamId) ?? [], 'ContextEnded'),
    })),
    streams,
  };
}

type Of<Type extends DomainEvent['type']> = Extract<DomainEvent, { type: Type }>;

export function ofType<Type extends DomainEvent['type']>(
  events: readonly RecordedEvent[],
  type: Type,
): RecordedEvent<Of<Type>>[] {
  return events.filter((each): each is RecordedEvent<Of<Type>> => each.event.type === type);
}

type EndOfLife = 'ContextEnded' | 'SessionClosed' | 'WorkerLost';

function reasons(events: readonly RecordedEvent[], type: EndOfLife) {
  return ofType(events, type).map(({ event }) => ({
    reason: event.data.reason,
    at: Date.parse(event.data.at),
  }));
}

interface Material {
  readonly events: readonly RecordedEvent[];
  readonly outputs: readonly StoredOutput[];
  readonly cells: ReadonlyMap<string, CellKind>;
}

function executionFacts(
  { streamId, position, metadata, event: { data } }: RecordedEvent<Of<'ExecutionRequested'>>,
  { events, outputs, cells }: Material,
): ExecutionFacts {
  const key = ownKeyOf(data);
  const text = outputs.flatMap((each) => (each.kind === 'stream' ? each.text : [])).join('');
  return {
    id: streamId,
    user: data.userUuid,
    wire: metadata.actor?.door ?? 'nobody knows what',
    sessionId: data.sessionId,
    workerId: data.workerId,
    key,
    cell: cells.get(key ?? '') ?? null,
    isCommand: data.language === 'BASH',
    contextId: data.contextId ?? null,
    position,
    requestedAt: Date.parse(data.at),
    ends: ofType(events, 'ExecutionFinished').map(({ event }) => ({
      ...event.data,
      at: Date.parse(event.data.at),
    })),
    outputs,
    text,
    mark: runMarkOf(text),
    commandMark: commandMarkOf(text),
    hasGap: outputs.some(({ kind }) => kind === 'gap'),
  };
}

/** For Jupyter, the door makes the idempotency key from the ids of request and client, so the code's key is used. */
function ownKeyOf({ idempotencyKey: key, code }: Of<'ExecutionRequested'>['data']): string | null {
  return key === null || key.startsWith('jupyter:') ? keyInCode(code) : key;
}

/** The user's calls of these kinds that may have taken effect between two times. */
export function callsWithin(
  { history }: Facts,
  user: string,
  operations: readonly CallRecord['operation'][],
  [from, to]: readonly [number, number],
): CallRecord[] {
  return history.calls.filter(
    (call) =>
      call.user === user &&
      operations.includes(call.operation) &&
      call.startedAt <= to &&
      call.endedAt + LATE_EFFECT_MS >= from,
  );
}

/** A gateway waits up to 30 s for its database, so an attempt that a client has given up may still take effect. */
export const LATE_EFFECT_MS = 35_000;
