import { streamIdOf } from '../../domain/events.ts';
import { schemaVersionOf } from '../../domain/upcasts.ts';
import { guardColumns, idleSessions, unfinishedLimits, workerLimits } from './entityRules.ts';
import { jsonArray } from './jsonArray.ts';
import type { PreparedCommit } from './preparedCommit.ts';
import { projectionRows } from './projectionRows.ts';
import type { QuotaCount, QuotaCounts } from './quotaCounts.ts';
import { quotaRows } from './quotaRows.ts';

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
 * and the quotas that need no new count.
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
    const { workerId, epoch, bootId, seq, progress } = cursor;
    // JSON text within JSON: json_to_recordset unpacks the outer strings, and refuses an escaped U+0000 in them. The
    // inner text is only cast to json, which keeps the escape.
    const inner = JSON.stringify(progress ?? null);
    return JSON.stringify({ worker_id: workerId, epoch, boot_id: bootId, seq, progress: inner });
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
