import { streamIdOf } from '../../domain/events.ts';
import { schemaVersionOf } from '../../domain/upcasts.ts';
import { jsonArray } from './jsonArray.ts';
import type { PreparedCommit } from './preparedCommit.ts';
import { limitRows, projectionRows } from './projectionRows.ts';

/** The call of `cellhouse_commit` (see its migration), parameters in its order. JSON is made here, not by postgres.js. */
export const COMMIT_SQL = `
  SELECT cellhouse_commit($1, $2, $3::text::json, $4, $5, $6::text::json,
    $7::text::json, $8::text::json, $9::text::json, $10::text::json, $11::text::json, $12::text::json,
    $13, $14, $15, string_to_array($16, E'\\n'), $17, $18, $19::text::json, $20::text::json) AS committed`;

export interface CommitResult {
  /** Null: it had no events. */
  readonly firstPosition: number | null;
  /** ISO 8601. */
  readonly committedAt: string;
  /** Null: it had no outputs. */
  readonly outputSessionIds: readonly string[] | null;
}

type Column = string | number;

/** Where {@link outputColumns} has bodies. */
const BODY = 3;

/** Parameters of {@link COMMIT_SQL} for a group, the same however often they are made but for `isRepeated`. */
export function commitParameters(
  group: readonly PreparedCommit[],
  gatewayId: string,
  isRepeated: boolean,
) {
  return [
    gatewayId,
    isRepeated,
    jsonArray(cursorRows(group)),
    ...guardColumns(group),
    jsonArray(limitRows(group)),
    ...projectionRows(group),
    ...outputColumns(group),
    jsonArray(keyRows(group)),
    jsonArray(eventRows(group, gatewayId)),
  ];
}

function cursorRows(group: readonly PreparedCommit[]): string[] {
  return group.flatMap(({ commit: { cursor } }) => {
    if (!cursor) return [];
    const { workerId, epoch, bootId, seq, progress } = cursor;
    // JSON within JSON: PostgreSQL reads U+0000 in the inner one, and refuses it in the outer one.
    const inner = JSON.stringify(progress ?? null);
    return JSON.stringify({ worker_id: workerId, epoch, boot_id: bootId, seq, progress: inner });
  });
}

function guardColumns(group: readonly PreparedCommit[]): (Column[] | null)[] {
  const guards = group.flatMap(({ commit }) => commit.openSessions ?? []);
  return columns(
    2,
    guards.map(({ id, version }) => [id, version]),
  );
}

/**
 * Bodies are one text: JSON has no raw line breaks, so they can part it. In an array each quote and backslash of megabytes would be
 * escaped here, and PostgreSQL would read it character by character.
 */
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
    const { tenant, userUuid, key, codeSha256, executionId } = idempotency;
    return JSON.stringify({
      tenant,
      user_uuid: userUuid,
      key,
      code_sha256: codeSha256,
      execution_id: executionId,
    });
  });
}

function eventRows(group: readonly PreparedCommit[], gatewayId: string): string[] {
  const rows: string[] = [];
  for (const { events } of group) {
    for (const { eventId, kind, id, version, event, causationId, correlationId, data } of events) {
      const row = JSON.stringify({
        number: rows.length + 1,
        event_id: eventId,
        stream_id: streamIdOf(kind, id),
        version,
        type: event.type,
        schema_version: schemaVersionOf(event.type),
        metadata: { gatewayId, causationId, correlationId },
      });
      // JSON already.
      rows.push(`${row.slice(0, -1)},"data":${data}}`);
    }
  }
  return rows;
}

/** Rows turned into `width` arrays, one for each column, as `unnest` takes them; or into nulls, for none. */
function columns(width: number, rows: readonly (readonly Column[])[]): (Column[] | null)[] {
  return Array.from({ length: width }, (_, column) =>
    rows.length > 0 ? rows.map((row) => row[column] ?? '') : null,
  );
}
