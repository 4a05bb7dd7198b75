import type { Commit } from '../eventStore.ts';
import type { StreamKind } from '../eventTypes.ts';
import { projectionRow } from '../projections/projectionRow.ts';
import { schemaVersionOf } from '../schemaVersions.ts';
import { streamIdOf } from '../streamId.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** The call of `cellhouse_commit` (see its migration), parameters in its order. */
export const COMMIT_SQL = `
  SELECT first_position, committed_at, output_session_ids FROM cellhouse_commit($1, $2,
    $3::uuid[], $4::int[], $5::text[], $6::bigint[], $7::text[], $8::uuid[], $9::int[],
    $10::json, $11::json, $12::json, $13::json, $14::json, $15::json,
    $16::uuid[], $17::int[], $18::text[], $19::text[], $20::int[], $21::timestamptz[],
    $22::text[], $23::text[], $24::text[], $25::text[], $26::uuid[],
    $27::uuid[], $28::text[], $29::int[], $30::text[], $31::int[], $32::text[], $33::text[])`;

export interface CommitRow {
  readonly firstPosition: number | null;
  readonly committedAt: Date;
  readonly outputSessionIds: readonly string[];
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
    ...cursorColumns(group),
    ...guardColumns(group),
    ...projectionRows(group),
    ...outputColumns(group),
    ...keyColumns(group),
    ...eventColumns(group, gatewayId),
  ];
}

function cursorColumns(group: readonly PreparedCommit[]): Column[][] {
  return columns(
    5,
    group.flatMap(({ commit: { cursor } }) =>
      cursor
        ? [
            [
              cursor.workerId,
              cursor.epoch,
              cursor.bootId,
              cursor.seq,
              JSON.stringify(cursor.progress ?? null),
            ],
          ]
        : [],
    ),
  );
}

function guardColumns(group: readonly PreparedCommit[]): Column[][] {
  const guards = group.flatMap(({ commit }) => commit.openSessions ?? []);
  return columns(
    2,
    guards.map(({ id, version }) => [id, version]),
  );
}

/** For each projection: rows that are new, and rows that change, with the version they must be at. */
function projectionRows(group: readonly PreparedCommit[]): Record<string, unknown>[][] {
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
  return Object.values(rows).flatMap(({ added, changed }) => [added, changed]) as Record<
    string,
    unknown
  >[][];
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

function outputColumns(group: readonly PreparedCommit[]): Column[][] {
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

function keyColumns(group: readonly PreparedCommit[]): Column[][] {
  return columns(
    5,
    group.flatMap(({ commit: { idempotency: claim } }) =>
      claim ? [[claim.tenant, claim.userUuid, claim.key, claim.codeSha256, claim.executionId]] : [],
    ),
  );
}

function eventColumns(group: readonly PreparedCommit[], gatewayId: string): Column[][] {
  return columns(
    7,
    group.flatMap(({ events }) =>
      events.map(({ eventId, kind, id, version, event, causationId, correlationId, data }) => [
        eventId,
        streamIdOf(kind, id),
        version,
        event.type,
        schemaVersionOf(event.type),
        data,
        JSON.stringify({ gatewayId, causationId, correlationId }),
      ]),
    ),
  );
}

/** Rows turned into `width` arrays, one for each column, as `unnest` takes them. */
function columns(width: number, rows: readonly (readonly Column[])[]): Column[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] ?? ''));
}
