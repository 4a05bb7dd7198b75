import type { Commit } from '../eventStore.ts';
import type { StreamKind } from '../eventTypes.ts';
import { projectionRow } from '../projections/projectionRow.ts';
import { schemaVersionOf } from '../schemaVersions.ts';
import { streamIdOf } from '../streamId.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** The call of `cellhouse_commit` (see its migration), parameters in its order. JSON is made here, not by postgres.js. */
export const COMMIT_SQL = `
  SELECT first_position, committed_at, output_session_ids FROM cellhouse_commit($1, $2, $3::text::json, $4, $5,
    $6::text::json, $7::text::json, $8::text::json, $9::text::json, $10::text::json, $11::text::json,
    $12, $13, $14, $15, $16, $17, $18::text::json, $19::text::json)`;

export interface CommitRow {
  readonly firstPosition: number | null;
  readonly committedAt: Date;
  /** Null: it had no outputs. */
  readonly outputSessionIds: readonly string[] | null;
}

type Column = string | number;

/** Parameters of {@link COMMIT_SQL} for a group, the same however often they are made but for `isRepeated`. */
export function commitParameters(
  group: readonly PreparedCommit[],
  gatewayId: string,
  isRepeated: boolean,
) {
  return [
    gatewayId,
    isRepeated,
    json(cursorRows(group)),
    ...guardColumns(group),
    ...projectionRows(group),
    ...outputColumns(group),
    json(keyRows(group)),
    eventRows(group, gatewayId),
  ];
}

function cursorRows(group: readonly PreparedCommit[]): object[] {
  return group.flatMap(({ commit: { cursor } }) => {
    if (!cursor) return [];
    const { workerId, epoch, bootId, seq, progress } = cursor;
    // JSON within JSON: PostgreSQL reads U+0000 in the inner one, and refuses it in the outer one.
    const inner = JSON.stringify(progress ?? null);
    return [{ worker_id: workerId, epoch, boot_id: bootId, seq, progress: inner }];
  });
}

function guardColumns(group: readonly PreparedCommit[]): (Column[] | null)[] {
  const guards = group.flatMap(({ commit }) => commit.openSessions ?? []);
  return columns(
    2,
    guards.map(({ id, version }) => [id, version]),
  );
}

/** For each projection: rows that are new, and rows that change, with the version they must be at. */
function projectionRows(group: readonly PreparedCommit[]): (string | null)[] {
  const rows: Record<StreamKind, { added: object[]; changed: object[] }> = {
    worker: { added: [], changed: [] },
    session: { added: [], changed: [] },
    execution: { added: [], changed: [] },
  };
  let number = 1;
  for (const { commit, states } of group) {
    for (const [index, { stream, state, events }] of commit.streams.entries()) {
      const after = states[index];
      if (after && events.length > 0) {
        if (state === null) {
          rows[stream].added.push(projectionRow(after, besides(stream, commit, number)));
        } else {
          const idle = stream === 'session' ? { idle_since: commit.idleSince?.toISOString() } : {};
          rows[stream].changed.push(
            projectionRow(after, { expected_version: state.version, ...idle }),
          );
        }
      }
      number += events.length;
    }
  }
  return Object.values(rows).flatMap(({ added, changed }) => [json(added), json(changed)]);
}

/** What `cellhouse_commit` takes beside a new row's columns. */
function besides(
  stream: StreamKind,
  { maxUnfinished, maxWorkers }: Commit,
  number: number,
): Record<string, unknown> {
  switch (stream) {
    case 'worker':
      return { max_workers: maxWorkers };
    case 'session':
      return {};
    case 'execution':
      return { requested_position: number, max_unfinished: maxUnfinished };
    default:
      return stream satisfies never;
  }
}

function outputColumns(group: readonly PreparedCommit[]): (Column[] | null)[] {
  return columns(
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
}

function keyRows(group: readonly PreparedCommit[]): object[] {
  return group.flatMap(({ commit: { idempotency } }) => {
    if (!idempotency) return [];
    const { tenant, userUuid, key, codeSha256, executionId } = idempotency;
    return [
      { tenant, user_uuid: userUuid, key, code_sha256: codeSha256, execution_id: executionId },
    ];
  });
}

/** An array as JSON. The events' data is JSON already. */
function eventRows(group: readonly PreparedCommit[], gatewayId: string): string | null {
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
      rows.push(`${row.slice(0, -1)},"data":${data}}`);
    }
  }
  return rows.length > 0 ? `[${rows.join(',')}]` : null;
}

function json(rows: readonly object[]): string | null {
  return rows.length > 0 ? JSON.stringify(rows) : null;
}

/** Rows turned into `width` arrays, one for each column, as `unnest` takes them; or into nulls, for none. */
function columns(width: number, rows: readonly (readonly Column[])[]): (Column[] | null)[] {
  return Array.from({ length: width }, (_, column) =>
    rows.length > 0 ? rows.map((row) => row[column] ?? '') : null,
  );
}
