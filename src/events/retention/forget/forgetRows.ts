/**
 * Forgets the rows of one kind of entity, with their events and everything else that belongs to them, page by page. A
 * page is one transaction, which also records the removal. Rows that are done have another owner, so no row is
 * forgotten twice.
 */
import type { EntityState } from '../../../domain/entities.ts';
import { streamIdOf } from '../../../domain/events.ts';
import type { AnyId, ExecutionId } from '../../../domain/ids.ts';
import type { Owner } from '../../../domain/owner.ts';
import { type OwnedKind, redactedData, redactedMetadata } from '../../../domain/redactedEvents.ts';
import { redactedState } from '../../../domain/redactedStates.ts';
import type { Names } from '../../../domain/redaction.ts';
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { changeJson } from '../../projections/projectionJson.ts';
import { PROJECTIONS } from '../../projections/projections.ts';
import { isOf } from '../../queries/isOf.ts';
import { jsonArray } from '../../store/jsonArray.ts';
import { recordRemoval } from '../recordRemoval.ts';
import { bytesInEvents, withinBytes } from '../withinBytes.ts';
import { emptyEvents } from './emptyEvents.ts';
import { forgetBelongings } from './forgetBelongings.ts';
import type { StoredEvent } from './forgetEvents.ts';
import {
  actedMeanwhile,
  type Forgetting,
  type Forgotten,
  inPages,
  lockForgetting,
  removalOf,
} from './forgetting.ts';
import { nameOf, type Pseudonyms, pseudonymsFor } from './pseudonyms.ts';

/** Rows of one transaction: enough to be quick, and few enough to block nobody. */
const PAGE_ROWS = 200;
/**
 * Limit for the content of their events, which is read into memory. Each row may have 16 MiB of input
 * (MAX_INPUT_BYTES).
 */
const PAGE_BYTES = 64 * 1024 * 1024;

export async function forgetRows(
  connection: OneConnection,
  kind: OwnedKind,
  forgetting: Forgetting,
): Promise<Forgotten> {
  return await inPages<string>(connection, (sql, after) =>
    forgetPage(sql, kind, forgetting, after),
  );
}

type Row = EntityState & {
  readonly tenant: string;
  readonly userUuid: string | null;
};

async function forgetPage(
  sql: Sql,
  kind: OwnedKind,
  forgetting: Forgetting,
  after: string | null,
): Promise<(Forgotten & { readonly last: string }) | null> {
  await lockForgetting(sql);
  const { owner, newId } = forgetting;
  const rows = withinBytes(await ended(sql, kind, forgetting, after), PAGE_BYTES, bytesInEvents);
  const last = rows.at(-1)?.id;
  if (last === undefined) return null;
  const users = rows.flatMap(({ userUuid }) => userUuid ?? []);
  const pseudonyms = await pseudonymsFor(sql, owner, users);
  const names = new Map(
    rows.map((row) => [
      streamIdOf(kind, row.id),
      // The id of a quota is a hash of the names.
      namesOf(row, pseudonyms, owner, kind === 'quota' ? newId<AnyId>() : row.id),
    ]),
  );
  const events = await emptyStreams(sql, kind, names, { forgetting, pseudonyms });
  await changeRows(sql, kind, rows, names);
  const outputs = await forgetBelongings(sql, kind, rows);
  await recordRemoval(
    sql,
    forgetting,
    {
      ...{ ...removalOf(owner, pseudonyms), streams: rows.length, outputs },
      ...(kind === 'execution' && { executionIds: rows.map(({ id }) => id as ExecutionId) }),
    },
    events,
  );
  return { last, streams: rows.length, events: events.length, outputs };
}

function namesOf(row: Row, pseudonyms: Pseudonyms, { tenant }: Owner, id: string): Names {
  const { userUuid } = row;
  return {
    tenant: pseudonyms.tenant ?? tenant,
    userUuid: userUuid === null ? null : nameOf(pseudonyms.users, userUuid),
    id,
  };
}

/** The next page, in ascending order of ids. Only rows that have ended, so that no gateway works with them. */
async function ended(
  sql: Sql,
  kind: OwnedKind,
  { owner, sealed }: Forgetting,
  after: string | null,
): Promise<Row[]> {
  const { table } = PROJECTIONS[kind];
  const endedAt = ENDED_AT[kind];
  const pruned = sql`EXISTS (SELECT FROM pruned_streams p WHERE p.stream_id = ${`${kind}-`} || t.id)`;
  return await sql<Row[]>`
    SELECT t.* FROM ${sql(table)} t
    WHERE ${isOf(sql, owner)} AND (${after}::uuid IS NULL OR t.id > ${after}::uuid)
      AND (${endedAt === null ? sql`true` : sql`t.${sql(endedAt)} IS NOT NULL`} OR ${pruned})
      AND NOT EXISTS (SELECT FROM events e WHERE e.stream_id = ${`${kind}-`} || t.id AND e.position > ${sealed})
    ORDER BY t.id LIMIT ${PAGE_ROWS} FOR NO KEY UPDATE OF t`;
}

/** The column that is not null once nothing more happens to an entity. Null for kinds without such a column. */
const ENDED_AT: Readonly<Record<OwnedKind, string | null>> = {
  session: PROJECTIONS.session.endedAt,
  context: PROJECTIONS.context.endedAt,
  execution: PROJECTIONS.execution.endedAt,
  fileChange: PROJECTIONS.fileChange.endedAt,
  // It ends with its context, whether or not somebody has closed it.
  notebook: null,
  token: 'revoked_at',
  quota: null,
};

async function emptyStreams(
  sql: Sql,
  kind: OwnedKind,
  names: ReadonlyMap<string, Names>,
  { forgetting, pseudonyms }: { readonly forgetting: Forgetting; readonly pseudonyms: Pseudonyms },
) {
  const { owner, sealed } = forgetting;
  const stored = await sql<StoredEvent[]>`
    SELECT position, stream_id, type, data, metadata FROM events
    WHERE stream_id = ANY (${[...names.keys()]}::text[]) ORDER BY position`;
  // If a row was just being changed, such as that of a quota, the query above has waited for it. Its newest event is
  // not sealed yet.
  if (stored.some(({ position }) => position > sealed))
    throw actedMeanwhile(PROJECTIONS[kind].table);
  const emptied = stored.flatMap(({ position, streamId, type, data, metadata }) => {
    const own = names.get(streamId);
    if (own === undefined) throw new Error(`${streamId} was not asked for.`);
    if (isOfOther(data, owner)) return [];
    return {
      position,
      stream_id: streamIdOf(kind, own.id),
      data: redactedData(type, data, own),
      metadata: withoutTenant(metadata, owner, pseudonyms),
    };
  });
  return await emptyEvents(sql, emptied);
}

/** Whether an event of a notebook is from the time when it belonged to another user. */
function isOfOther({ userUuid }: StoredEvent['data'], owner: Owner): boolean {
  return owner.userUuid !== null && typeof userUuid === 'string' && userUuid !== owner.userUuid;
}

function withoutTenant(metadata: StoredEvent['metadata'], owner: Owner, names: Pseudonyms) {
  if (names.tenant === null) return metadata;
  return redactedMetadata(metadata, { tenant: owner.tenant, pseudonym: names.tenant });
}

async function changeRows(
  sql: Sql,
  kind: OwnedKind,
  rows: readonly Row[],
  names: ReadonlyMap<string, Names>,
): Promise<void> {
  const ids = new Map<string, string>();
  const changes = rows.map((row) => {
    const own = names.get(streamIdOf(kind, row.id)) as Names;
    ids.set(row.id, own.id);
    return changeJson(kind, row, redactedState(kind, row as never, own));
  });
  await sql`SELECT cellhouse_change_rows(${kind}, ${jsonArray(changes)}::text::json)`;
  if (kind !== 'quota') return;
  await sql`
    UPDATE quotas q SET id = n.id
    FROM (SELECT unnest(${[...ids.keys()]}::uuid[]) AS old, unnest(${[...ids.values()]}::uuid[]) AS id) n
    WHERE q.id = n.old`;
}
