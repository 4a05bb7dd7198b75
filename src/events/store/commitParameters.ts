/** The parameters of `cellhouse_commit`. */
import { STREAM_KINDS, type StreamKind } from '../../domain/entities.ts';
import { streamIdOf } from '../../domain/events.ts';
import { type Execution, queueOf } from '../../domain/execution.ts';
import { schemaVersionOf } from '../../domain/upcasts.ts';
import type { Worker } from '../../domain/worker.ts';
import { changeJson, newRowJson, PROJECTIONS } from '../projections/projections.ts';
import { jsonArray, type PreparedCommit } from './preparedCommit.ts';
import { type QuotaCount, type QuotaCounts, quotaRows } from './quotaRows.ts';

type Rows = Map<StreamKind, string[]>;

/**
 * Three sets of rows: changed rows, new rows, and new rows that contain the position of an event. Each set is a list of
 * kinds and a text with a line of JSON for each kind, or two nulls if the set is empty. Kinds always have the same
 * order, so that groups of several gateways lock rows in the same order.
 */
function projectionRows(group: readonly PreparedCommit[]): (StreamKind[] | string | null)[] {
  const changed: Rows = new Map();
  const added: Rows = new Map();
  const placed: Rows = new Map();
  let position = 1;
  for (const { commit, states } of group) {
    for (const [index, { stream, state, events }] of commit.streams.entries()) {
      const after = states[index];
      if (after && events.length > 0) {
        if (state !== null) push(changed, stream, changeJson(stream, state, after));
        else {
          const isPlaced = PROJECTIONS[stream].firstPosition !== null;
          push(isPlaced ? placed : added, stream, newRowJson(stream, after, position));
        }
      }
      position += events.length;
    }
  }
  return [changed, added, placed].flatMap(byKind);
}

function push(rows: Rows, kind: StreamKind, row: string): void {
  const others = rows.get(kind);
  if (others) others.push(row);
  else rows.set(kind, [row]);
}

function byKind(rows: Rows): [StreamKind[], string] | [null, null] {
  const kinds = STREAM_KINDS.filter((kind) => rows.has(kind));
  if (kinds.length === 0) return [null, null];
  return [kinds, kinds.map((kind) => jsonArray(rows.get(kind) ?? [])).join('\n')];
}

// Conditions of a commit that concern only one entity. Each has its own block in `cellhouse_commit`.

type Group = readonly PreparedCommit[];

/** The sessions that must be open at a given version, as two columns: ids and versions. */
function guardColumns(group: Group): [readonly string[], readonly number[]] | [null, null] {
  const guards = group.flatMap(({ commit }) => commit.openSessions ?? []);
  if (guards.length === 0) return [null, null];
  return [guards.map(({ id }) => id), guards.map(({ version }) => version)];
}

/**
 * A row for each queue that gets executions under a limit, or that must have no unknown executions. It says how many
 * executions are added, the lowest limit of their commits, and whether an added one must be the first of the queue.
 */
function unfinishedLimits(group: Group): string | null {
  return limitRows(group, ({ commit, states }, add) => {
    const { streams, maxUnfinished: maximum, isFirstExecution: isFirst, knownQueues } = commit;
    for (const { of, count } of knownQueues ?? [])
      add(queueColumns(of), { added: 0, maximum: count });
    for (const [index, { stream, state }] of streams.entries()) {
      if (stream !== 'execution' || state !== null) continue;
      add(queueColumns(states[index] as Execution), { maximum, isFirst });
    }
  });
}

/** The queue of an execution, as `cellhouse_commit` takes it. */
function queueColumns(execution: Execution): Record<string, string> {
  const queue = queueOf(execution);
  return {
    session_id: execution.sessionId,
    worker_id: execution.workerId,
    ...(queue === 'commands' ? { is_command: 'true' } : queue && { context_id: queue }),
  };
}

/** A row for each pool that gets workers under a limit: how many are added, and the lowest limit. */
function workerLimits(group: Group): string | null {
  return limitRows(group, ({ commit: { streams, maxWorkers }, states }, add) => {
    for (const [index, { stream, state }] of streams.entries()) {
      if (stream !== 'worker' || state !== null) continue;
      add({ pool_id: (states[index] as Worker).poolId }, { maximum: maxWorkers });
    }
  });
}

/** The sessions that change and must have been idle since a given time. */
function idleSessions(group: Group): string | null {
  return jsonArray(
    group.flatMap(({ commit: { streams, idleSince } }) => {
      if (!idleSince) return [];
      const changed = streams.filter(({ stream, state }) => stream === 'session' && state !== null);
      return changed.map(({ id }) => JSON.stringify({ id, idle_since: idleSince.toISOString() }));
    }),
  );
}

interface LimitRow {
  readonly added: number;
  /** In JSON, Infinity becomes null: any number. */
  readonly maximum: number;
  readonly is_first?: true;
}

interface Limit {
  /** 1 if it is left out. */
  readonly added?: number;
  readonly maximum: number | undefined;
  readonly isFirst?: boolean | undefined;
}

type AddLimit = (of: Readonly<Record<string, string>>, limit: Limit) => void;

/** A row for each queue or pool that has a limit: how many are added to it, and the strictest limit. */
function limitRows(group: Group, eachOf: (prepared: PreparedCommit, add: AddLimit) => void) {
  const limits = new Map<string, LimitRow>();
  const add: AddLimit = (
    of,
    { added = 1, maximum = Number.POSITIVE_INFINITY, isFirst = false },
  ) => {
    const key = Object.values(of).join();
    const before = limits.get(key) ?? { added: 0, maximum };
    limits.set(key, {
      ...of,
      added: before.added + added,
      maximum: Math.min(before.maximum, maximum),
      ...((isFirst || before.is_first) && { is_first: true }),
    });
  };
  for (const prepared of group) eachOf(prepared, add);
  const rows = [...limits.values()].filter(
    ({ maximum, is_first: isFirst }) => isFirst || Number.isFinite(maximum),
  );
  return jsonArray(rows.map((row) => JSON.stringify(row)));
}

/**
 * The call of `cellhouse_commit` (`migrations/sql`), with parameters in its order. JSON is made here, not by
 * postgres.js. A list of JSON values is sent as one text, with a line for each value: JSON has no raw line breaks. An
 * array parameter would be slower, because each quote and backslash in megabytes would be escaped here and read
 * character by character by PostgreSQL.
 */
export const COMMIT_SQL = `
  SELECT cellhouse_commit($1, $2, $3::text::json, $4, $5, $6::text::json, $7::text::json, $8::text::json,
    $9, string_to_array($10, E'\\n'), $11, string_to_array($12, E'\\n'), $13, string_to_array($14, E'\\n'),
    $15, $16, $17, string_to_array($18, E'\\n'), $19, $20, $21::text::json, $22::text::json,
    $23::text::json, $24, $25) AS committed`;

export interface CommitResult {
  /** Position of the group's first event; null if it had no events. */
  readonly firstPosition: number | null;
  /**
   * The event before the group's first one; null if there is none. Left out if the group was found, because an earlier
   * attempt has committed it.
   */
  readonly previousEventId?: string | null;
  /** The database's time of the commit (ISO 8601). */
  readonly committedAt: string;
  /** The sessions whose outputs grew; null if the group had no outputs. */
  readonly outputSessionIds: readonly string[] | null;
  /**
   * What was counted for quotas; null if nothing was. Left out if the group was found, because an earlier attempt has
   * committed it.
   */
  readonly quotas?: readonly QuotaCount[] | null;
}

type Column = string | number;

/** Index of the bodies in {@link outputColumns}. */
const BODY = 3;

/**
 * Parameters of {@link COMMIT_SQL} for a group. For the same group, they are always the same, except for `isRepeated`
 * and the positions until which quotas need no new count.
 */
export function commitParameters(
  group: readonly PreparedCommit[],
  gatewayId: string,
  isRepeated: boolean,
  quotaCounts: QuotaCounts,
) {
  return [
    gatewayId,
    isRepeated,
    jsonArray(cursorRows(group)),
    ...guardColumns(group),
    unfinishedLimits(group),
    workerLimits(group),
    idleSessions(group),
    ...projectionRows(group),
    ...outputColumns(group),
    jsonArray(keyRows(group)),
    jsonArray(eventRows(group, gatewayId)),
    jsonArray([...variableRows(group), ...inputRows(group)]),
    ...quotaRows(group, quotaCounts),
  ];
}

function variableRows(group: readonly PreparedCommit[]): string[] {
  return group.flatMap(({ commit: { sessionVariables, executionVariables } }) => [
    ...(sessionVariables
      ? rowsOf({ session_id: sessionVariables.sessionId }, sessionVariables.values)
      : []),
    ...(executionVariables
      ? rowsOf({ execution_id: executionVariables.executionId }, executionVariables.values)
      : []),
  ]);
}

function inputRows(group: readonly PreparedCommit[]): string[] {
  return group.flatMap(({ commit: { secretInput } }) => {
    if (!secretInput) return [];
    const { executionId, offset, bytes } = secretInput;
    const row = {
      execution_id: executionId,
      input_offset: offset,
      base64: bytes.toString('base64'),
    };
    return JSON.stringify(row);
  });
}

function rowsOf(
  owner: Readonly<Record<string, string>>,
  values: Readonly<Record<string, string>>,
): string[] {
  return Object.entries(values).map(([name, value]) => JSON.stringify({ ...owner, name, value }));
}

function cursorRows(group: readonly PreparedCommit[]): string[] {
  return group.flatMap(({ commit: { cursor } }) => {
    if (!cursor) return [];
    const { workerId, epoch, bootId, seq, previousSeq, progress } = cursor;
    // JSON text within JSON: json_to_recordset unpacks the outer strings, and refuses an escaped U+0000 in them. The
    // inner text is only cast to json, which keeps the escape.
    const inner = JSON.stringify(progress ?? null);
    return JSON.stringify({
      ...{ worker_id: workerId, epoch, boot_id: bootId, seq, previous_seq: previousSeq },
      progress: inner,
    });
  });
}

function outputColumns(group: readonly PreparedCommit[]): (Column[] | string | null)[] {
  const outputs = columns(
    6,
    group.flatMap(({ commit, outputBodies }) =>
      (commit.outputs ?? []).map(({ executionId, seq, at, output }, index) => {
        const body = outputBodies[index];
        return [
          executionId,
          seq,
          output.kind,
          body?.json ?? '',
          body?.bytes ?? 0,
          at.toISOString(),
        ];
      }),
    ),
  );
  return outputs.map((column, at) => (at === BODY ? (column?.join('\n') ?? null) : column));
}

function keyRows(group: readonly PreparedCommit[]): string[] {
  return group.flatMap(({ commit: { idempotency } }) => {
    if (!idempotency) return [];
    const { tenant, userUuid, key, requestHash, executionId } = idempotency;
    return JSON.stringify({
      tenant,
      user_uuid: userUuid,
      key,
      request_hash: requestHash,
      execution_id: executionId,
    });
  });
}

function eventRows(group: readonly PreparedCommit[], gatewayId: string): string[] {
  const rows: string[] = [];
  for (const { commit, events } of group) {
    // Without an actor, nothing is stored in this field.
    const { actor } = commit;
    for (const { eventId, kind, id, version, event, causationId, correlationId, data } of events) {
      const row = JSON.stringify({
        number: rows.length + 1,
        event_id: eventId,
        stream_id: streamIdOf(kind, id),
        version,
        type: event.type,
        schema_version: schemaVersionOf(event.type),
        metadata: { gatewayId, causationId, correlationId, actor },
      });
      // `data` is JSON text already, so it is inserted as text.
      rows.push(`${row.slice(0, -1)},"data":${data}}`);
    }
  }
  return rows;
}

/** Turns rows into `width` arrays, one for each column, as `unnest` takes them. Without rows, each is null. */
function columns(width: number, rows: readonly (readonly Column[])[]): (Column[] | null)[] {
  return Array.from({ length: width }, (_, column) =>
    rows.length > 0 ? rows.map((row) => row[column] ?? '') : null,
  );
}
