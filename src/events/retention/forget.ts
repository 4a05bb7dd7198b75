/**
 * Forgets a user or a tenant: what they ran, sent and got, their files' names and their variables. The rows stay under
 * another name, with what the audit and the usage need: when something ran, how it ended, and at what cost. Gateways
 * may serve meanwhile.
 *
 * Everything of the owner must have ended before the call. Each step can be repeated: after a crash, call this again.
 */
import type { EntityState } from '../../domain/entities.ts';
import { streamIdOf } from '../../domain/events.ts';
import type { AnyId, ExecutionId, GatewayId, NewId } from '../../domain/ids.ts';
import { type OwnedKind, redactedData, redactedMetadata } from '../../domain/redactedEvents.ts';
import { OWNED_KINDS, redactedState } from '../../domain/redactedStates.ts';
import type { Names } from '../../domain/redaction.ts';
import type { Owner } from '../../domain/users.ts';
import {
  type DatabaseAddress,
  type OneConnection,
  onOneConnection,
  type Sql,
} from '../connection/client.ts';
import { readRelease, requireSameRelease } from '../migrations/migrate.ts';
import { changeJson, PROJECTIONS } from '../projections/projections.ts';
import { isOf } from '../queries/listQueries.ts';
import { jsonArray } from '../store/preparedCommit.ts';
import {
  actedMeanwhile,
  emptyEvents,
  type Forgetting,
  type Forgotten,
  forgetEvents,
  forgetPseudonyms,
  inPages,
  lockForgetting,
  NOTHING,
  nameOf,
  type Pseudonyms,
  pseudonymsFor,
  removalOf,
  type StoredEvent,
  sumOf,
} from './forgetEvents.ts';
import { pruneOutputs } from './pruneHistory.ts';
import { bytesInEvents, recordRemoval, sealEverything, withinBytes } from './removal.ts';

// Forgets the rows of one kind of entity, with their events and everything else that belongs to them, page by page. A
// page is one transaction, which also records the removal. A forgotten row has another owner, so no row is forgotten
// twice.

/** Rows of one transaction: enough to be quick, and few enough to block nobody. */
const PAGE_ROWS = 200;
/**
 * Limit for the events of a page, whose content is read into memory. Each row may have 16 MiB of input
 * (MAX_INPUT_BYTES).
 */
const PAGE_BYTES = 64 * 1024 * 1024;

async function forgetRows(
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
      // The id of a quota is a hash of the names, so it is replaced, too.
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
  // A notebook ends with its context, whether or not somebody has closed it.
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
  // If another transaction was just changing a row, such as that of a quota, `ended()` has waited for it. The event of
  // that change is not sealed yet.
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

/** Whether an event of a notebook is from the time when the notebook belonged to another user. */
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

/**
 * Forgets data in other tables that belongs to rows of one kind. Most of it was already deleted when they ended.
 * @returns how many outputs were deleted
 */
async function forgetBelongings(
  sql: Sql,
  kind: OwnedKind,
  rows: readonly EntityState[],
): Promise<number> {
  const ids = rows.map(({ id }) => id);
  switch (kind) {
    case 'session': {
      const workers = rows.map((row) => ('workerId' in row ? row.workerId : row.id));
      await sql`DELETE FROM session_variables WHERE session_id = ANY (${ids}::uuid[])`;
      await sql`DELETE FROM session_uses WHERE session_id = ANY (${ids}::uuid[])`;
      await forgetHosts(sql, ids);
      await sql`DELETE FROM context_readers WHERE session_id = ANY (${ids}::uuid[])`;
      await sql`
        UPDATE worker_cursors SET progress = NULL
        WHERE worker_id = ANY (${workers}::uuid[]) AND progress IS NOT NULL`;
      return 0;
    }
    case 'execution': {
      await sql`DELETE FROM execution_variables WHERE execution_id = ANY (${ids}::uuid[])`;
      await sql`DELETE FROM execution_inputs WHERE execution_id = ANY (${ids}::uuid[])`;
      return await pruneOutputs(sql, ids, 'forgotten');
    }
    case 'token':
      await sql`DELETE FROM token_uses WHERE token_id = ANY (${ids}::uuid[])`;
      return 0;
    case 'context':
    case 'fileChange':
    case 'notebook':
    case 'quota':
      return 0;
    default:
      return kind satisfies never;
  }
}

/** The hosts that code asked for came from its user, so they are removed. The amounts stay. */
async function forgetHosts(sql: Sql, sessionIds: readonly string[]): Promise<void> {
  await sql`
    WITH gone AS (
      DELETE FROM egress_counts WHERE session_id = ANY (${sessionIds}::uuid[]) AND host <> '' RETURNING *
    )
    INSERT INTO egress_counts AS c (session_id, minute, host, port, outcome, connections, sent_bytes, received_bytes)
    SELECT session_id, minute, '', 0, outcome, sum(connections), sum(sent_bytes), sum(received_bytes)
    FROM gone GROUP BY session_id, minute, outcome
    ON CONFLICT (session_id, minute, host, port, outcome) DO UPDATE SET
      connections = c.connections + excluded.connections,
      sent_bytes = c.sent_bytes + excluded.sent_bytes,
      received_bytes = c.received_bytes + excluded.received_bytes`;
}

/**
 * Forgets the earlier events of notebooks that were moved to the context of another user. Such a notebook belongs to
 * the other user from then on, but its earlier events still contain the former user's id and names. Its row contains
 * nothing of the former user, because each event replaces all facts.
 */
async function forgetFormerNotebooks(
  connection: OneConnection,
  forgetting: Forgetting,
): Promise<Forgotten> {
  const { sealed } = forgetting;
  const { tenant, userUuid } = forgetting.owner;
  return await forgetEvents(connection, forgetting, {
    after: (sql, position, limit) => sql<StoredEvent[]>`
      SELECT e.position, e.stream_id, e.type, e.data, e.metadata
      FROM notebooks n JOIN events e ON e.stream_id = 'notebook-' || n.id
      WHERE n.tenant = ${tenant} AND n.user_uuid <> ${userUuid} AND e.data ->> 'userUuid' = ${userUuid}
        AND e.position > ${position} AND e.position <= ${sealed}
      ORDER BY e.position LIMIT ${limit}`,
    left: ({ position, type, data, metadata }, { users }) => {
      const names = { tenant, userUuid: nameOf(users, userUuid ?? ''), id: '' };
      return { position, stream_id: null, data: redactedData(type, data, names), metadata };
    },
  });
}

// A tenant's name is not only in its own rows and streams. It is also in the metadata of the events that its tokens
// have caused, and in the links of the audit chain.

const PAGE_LINKS = 5_000;

/**
 * Renames the tenant in the metadata of other events that its tokens caused. These are, for example, events of workers,
 * or of other tenants if an operator of this tenant caused them.
 */
async function forgetActors(connection: OneConnection, forgetting: Forgetting): Promise<Forgotten> {
  const { sealed } = forgetting;
  const { tenant } = forgetting.owner;
  return await forgetEvents(connection, forgetting, {
    after: (sql, position, limit) => sql<StoredEvent[]>`
      SELECT position, stream_id, type, data, metadata FROM events
      WHERE position > ${position} AND position <= ${sealed} AND metadata -> 'actor' ->> 'tenant' = ${tenant}
        -- Removals are recorded by the cellhouse command, whose actor always has the same tenant.
        AND stream_id NOT LIKE 'removal-%'
      ORDER BY position LIMIT ${limit}`,
    left: ({ position, metadata }, names) => {
      const pseudonym = names.tenant ?? tenant;
      const left = redactedMetadata(metadata, { tenant, pseudonym });
      return { position, stream_id: null, data: null, metadata: left };
    },
  });
}

/**
 * Renames the tenant in its links. A link's tenant and number are not part of its hash. The numbers stay without gaps,
 * in the same order.
 */
async function renameLinks({ transaction }: OneConnection, owner: Owner): Promise<void> {
  for (;;) {
    const count = await transaction((sql) => renamePage(sql, owner));
    if (count < PAGE_LINKS) return;
  }
}

/** @returns how many links it renamed */
async function renamePage(sql: Sql, owner: Owner): Promise<number> {
  await lockForgetting(sql);
  // Sealing continues from the newest number, so it must wait for this transaction.
  await sql`SELECT FROM chain_head FOR UPDATE`;
  const { tenant: pseudonym } = await pseudonymsFor(sql, owner, []);
  const { count } = await sql`
    WITH page AS (
      SELECT l.position, row_number() OVER (ORDER BY l.number) AS place FROM (
        SELECT position, number FROM event_links WHERE tenant = ${owner.tenant} ORDER BY number LIMIT ${PAGE_LINKS}) l
    ), before AS (
      SELECT coalesce(max(number), 0) AS number FROM event_links WHERE tenant = ${pseudonym}
    )
    UPDATE event_links l SET tenant = ${pseudonym}, number = b.number + p.place
    FROM page p, before b WHERE l.position = p.position`;
  return count;
}

// PostgreSQL keeps copies of values: in rows that were changed or deleted, and in the statistics of each column. VACUUM
// removes such rows, and ANALYZE replaces the statistics.

const NOBODY = '00000000-0000-0000-0000-000000000000';

/**
 * Tables that may be empty. ANALYZE leaves the statistics of an empty table as they are. So while each of these tables
 * is analysed, it has a dummy row, which no other transaction sees.
 */
const OFTEN_EMPTY: readonly {
  readonly table: string;
  readonly row: Readonly<Record<string, unknown>>;
}[] = [
  { table: 'session_variables', row: { session_id: NOBODY, name: '', value: '' } },
  { table: 'execution_variables', row: { execution_id: NOBODY, name: '', value: '' } },
  { table: 'execution_inputs', row: { execution_id: NOBODY, input_offset: 0, base64: '' } },
  {
    table: 'idempotency_keys',
    row: {
      tenant: '',
      user_uuid: '',
      key: '',
      request_hash: '',
      execution_id: NOBODY,
      created_at: '1970-01-01',
    },
  },
  { table: 'waiting_requests', row: { gateway_id: NOBODY, count: 0, tenants: {} } },
  {
    table: 'egress_counts',
    row: {
      session_id: NOBODY,
      minute: '1970-01-01',
      host: '',
      port: 0,
      outcome: '',
      connections: 0,
      sent_bytes: 0,
      received_bytes: 0,
    },
  },
  { table: 'pseudonyms', row: { tenant: '', user_uuid: '', pseudonym: '' } },
];

/** Removes these copies. Gateways may serve meanwhile. */
async function cleanStatistics({ sql, transaction }: OneConnection): Promise<void> {
  await sql`VACUUM (ANALYZE)`;
  for (const { table, row } of OFTEN_EMPTY)
    await transaction((inside) => analyzeWith(inside, table, row));
}

async function analyzeWith(
  sql: Sql,
  table: string,
  row: Readonly<Record<string, unknown>>,
): Promise<void> {
  await sql`
    INSERT INTO ${sql(table)}
    SELECT * FROM json_populate_record(NULL::${sql(table)}, ${JSON.stringify(row)}::text::json)`;
  await sql`ANALYZE ${sql(table)}`;
  const [key = ''] = Object.keys(row);
  await sql`DELETE FROM ${sql(table)} WHERE ${sql(key)}::text = ${String(row[key])}`;
}

interface ForgetOptions {
  readonly owner: Owner;
  readonly newId: NewId;
}

/**
 * @throws Error when the database is away, or if something of the owner is still left. The call can then be repeated
 */
export async function forgetHistory(
  address: DatabaseAddress,
  { owner, newId }: ForgetOptions,
): Promise<Forgotten> {
  // This waits for a running rebuild, which may take minutes.
  const client = { name: 'forget', statementTimeoutMs: 0, lockTimeoutMs: 0 };
  return await onOneConnection(address, client, async (connection) => {
    await requireSameRelease(connection.sql, readRelease());
    const gatewayId = newId<GatewayId>();
    const sealed = await sealEverything(connection, gatewayId);
    const forgotten = await forgetAll(connection, { owner, newId, gatewayId, sealed });
    await requireNothing(connection, owner);
    await forgetPseudonyms(connection.sql, owner);
    await cleanStatistics(connection);
    return forgotten;
  });
}

async function forgetAll(connection: OneConnection, forgetting: Forgetting): Promise<Forgotten> {
  const { owner } = forgetting;
  let total = NOTHING;
  for (const kind of OWNED_KINDS)
    total = sumOf(total, await forgetRows(connection, kind, forgetting));
  if (owner.userUuid === null) {
    total = sumOf(total, await forgetActors(connection, forgetting));
    await renameLinks(connection, owner);
  } else {
    total = sumOf(total, await forgetFormerNotebooks(connection, forgetting));
  }
  const { sql } = connection;
  // Keys of executions that were accepted meanwhile stay: a repeated call must still find its execution.
  await sql`
    DELETE FROM idempotency_keys t
    WHERE ${isOf(sql, owner)} AND NOT EXISTS (
      SELECT FROM executions x WHERE x.id = t.execution_id AND x.tenant = t.tenant AND x.user_uuid = t.user_uuid)`;
  // The row of a killed gateway still says who waited there.
  await sql`
    DELETE FROM waiting_requests w WHERE NOT EXISTS (
      SELECT FROM leases l WHERE l.name = 'gateway-' || w.gateway_id AND l.expires_at > clock_timestamp())`;
  return total;
}

/** @throws Error if a table still has a row of the owner, because somebody has acted for the owner meanwhile */
async function requireNothing({ sql }: OneConnection, owner: Owner): Promise<void> {
  for (const { table } of OWNED_KINDS.map((kind) => PROJECTIONS[kind])) {
    const [left] = await sql`
      SELECT t.id FROM ${sql(table)} t WHERE ${isOf(sql, owner)} LIMIT 1`;
    if (left) throw actedMeanwhile(table);
  }
}
