/** Forgets the content of events: pseudonyms replace names, and everything that a user wrote is removed. */
import { randomBytes } from 'node:crypto';
import type { StoredMetadata } from '../../domain/redactedEvents.ts';
import type { Owner } from '../../domain/users.ts';
import { type EventText, leafOf } from '../chain/verifyChain.ts';
import type { OneConnection, Sql } from '../connection/client.ts';
import { isOf } from '../queries/listQueries.ts';
import { LOCK_CLASS, REBUILD } from '../store/advisoryLocks.ts';
import { lockRemoval, type RemovedEvent, type Remover, recordRemoval } from './removal.ts';

// Types and functions that all steps of forgetting share.

export interface Forgetting extends Remover {
  readonly owner: Owner;
  /** The position of the last event that is sealed. */
  readonly sealed: number;
}

/** How much was forgotten. */
export interface Forgotten {
  readonly streams: number;
  readonly events: number;
  readonly outputs: number;
}

export const NOTHING: Forgotten = { streams: 0, events: 0, outputs: 0 };

export function sumOf(one: Forgotten, other: Forgotten): Forgotten {
  return {
    streams: one.streams + other.streams,
    events: one.events + other.events,
    outputs: one.outputs + other.outputs,
  };
}

/**
 * Forgets page by page. A page is one transaction. `forgetPage` gets the end of the previous page (null at first), and
 * returns the end of its own, or null when nothing is left.
 */
export async function inPages<Place>(
  { transaction }: OneConnection,
  forgetPage: (
    sql: Sql,
    after: Place | null,
  ) => Promise<(Forgotten & { readonly last: Place }) | null>,
): Promise<Forgotten> {
  let total = NOTHING;
  for (let after: Place | null = null; ; ) {
    const page = await transaction((sql) => forgetPage(sql, after));
    if (page === null) return total;
    total = sumOf(total, page);
    after = page.last;
  }
}

/**
 * Must be the first step of each transaction. First it waits for a running rebuild. Otherwise, the rebuild could read
 * an event before it is forgotten, and afterwards restore its old content to a row. Then it takes the locks of
 * {@link lockRemoval}.
 */
export async function lockForgetting(sql: Sql): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${REBUILD})`;
  await lockRemoval(sql);
}

/** The fields that all removals of the owner have in common. */
export function removalOf({ userUuid }: Owner, { tenant, users }: Pseudonyms) {
  const type = 'RecordForgetting' as const;
  return userUuid === null
    ? { type, scope: 'TENANT' as const, pseudonym: tenant ?? '' }
    : { type, scope: 'USER' as const, pseudonym: nameOf(users, userUuid) };
}

/** The error for the operator if `table` has something of the owner that is newer than the command. */
export function actedMeanwhile(table: string): Error {
  return new Error(
    `There is something new in ${table}: somebody has acted for them meanwhile. Make sure that nobody does, then repeat this.`,
  );
}

// The names that replace those of forgotten users and tenants. A pseudonym is random, so nobody can compute it. All
// data of a user get the same pseudonym. It stays in the table `pseudonyms` until the whole command is done. So if
// `forget` is repeated after a crash, it uses the same pseudonym.

/** Enough that no two are the same. */
const RANDOM_BYTES = 8;
/** The key of a tenant itself. No user has an empty name. */
const TENANT_ITSELF = '';

/** The names of the tenant (null: it keeps its own) and of some of its users, by their former names. */
export interface Pseudonyms {
  readonly tenant: string | null;
  readonly users: ReadonlyMap<string, string>;
}

/** Resolves with the pseudonyms. Makes one for each name that has none yet. */
export async function pseudonymsFor(
  sql: Sql,
  { tenant, userUuid }: Owner,
  users: readonly string[],
): Promise<Pseudonyms> {
  const wanted = [...new Set([...users, ...(userUuid === null ? [TENANT_ITSELF] : [userUuid])])];
  const rows = wanted.map((user) => ({
    tenant,
    user_uuid: user,
    pseudonym: `forgotten-${randomBytes(RANDOM_BYTES).toString('hex')}`,
  }));
  await sql`
    INSERT INTO pseudonyms (tenant, user_uuid, pseudonym)
    SELECT r.tenant, r.user_uuid, r.pseudonym FROM json_populate_recordset(NULL::pseudonyms, ${JSON.stringify(rows)}::text::json) r
    ON CONFLICT DO NOTHING`;
  const given = await sql<{ userUuid: string; pseudonym: string }[]>`
    SELECT user_uuid, pseudonym FROM pseudonyms WHERE tenant = ${tenant} AND user_uuid = ANY (${wanted}::text[])`;
  const names = new Map(given.map((row) => [row.userUuid, row.pseudonym]));
  return { tenant: userUuid === null ? nameOf(names, TENANT_ITSELF) : null, users: names };
}

/** The pseudonym of a name. @throws Error if there is none, which is a defect */
export function nameOf(names: ReadonlyMap<string, string>, of: string): string {
  const name = names.get(of);
  if (name === undefined) throw new Error('A pseudonym was deleted while it was used.');
  return name;
}

/** Deletes the pseudonyms of an owner. After this, nobody can find out who was meant. */
export async function forgetPseudonyms(sql: Sql, owner: Owner): Promise<void> {
  await sql`DELETE FROM pseudonyms t WHERE ${isOf(sql, owner)}`;
}

const PAGE_EVENTS = 1_000;

export interface StoredEvent {
  readonly position: number;
  readonly streamId: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: StoredMetadata;
}

/** Which events are changed, and how. */
interface SingleEvents {
  /** The next `limit` events after `position`, in order. Only sealed events. */
  readonly after: (sql: Sql, position: number, limit: number) => Promise<readonly StoredEvent[]>;
  readonly left: (event: StoredEvent, names: Pseudonyms) => EmptiedEvent;
}

/**
 * Forgets single events, page by page, in streams that keep their names. A page is one transaction, which also records
 * the removal.
 */
export async function forgetEvents(
  connection: OneConnection,
  forgetting: Forgetting,
  events: SingleEvents,
): Promise<Forgotten> {
  return await inPages<number>(connection, (sql, after) =>
    forgetPage(sql, forgetting, events, after ?? 0),
  );
}

async function forgetPage(
  sql: Sql,
  forgetting: Forgetting,
  { after, left }: SingleEvents,
  position: number,
): Promise<(Forgotten & { readonly last: number }) | null> {
  await lockForgetting(sql);
  const stored = await after(sql, position, PAGE_EVENTS);
  const last = stored.at(-1)?.position;
  if (last === undefined) return null;
  const { owner } = forgetting;
  const names = await pseudonymsFor(sql, owner, []);
  const events = await emptyEvents(
    sql,
    stored.map((event) => left(event, names)),
  );
  const streams = new Set(stored.map(({ streamId }) => streamId)).size;
  await recordRemoval(sql, forgetting, { ...removalOf(owner, names), streams, outputs: 0 }, events);
  return { last, streams, events: events.length, outputs: 0 };
}

/** As long as the salts that `cellhouse_seal` makes. */
const SALT_BYTES = 16;

/** The new content of an event. */
interface EmptiedEvent {
  readonly position: number;
  /** Null: unchanged. */
  readonly stream_id: string | null;
  /** Null: unchanged. */
  readonly data: unknown;
  readonly metadata: unknown;
}

/**
 * Writes the new content of these events. An event that was deleted meanwhile is left out.
 * @returns a new hash of each, as the audit chain hashes events, with a new salt
 */
export async function emptyEvents(
  sql: Sql,
  events: readonly EmptiedEvent[],
): Promise<RemovedEvent[]> {
  if (events.length === 0) return [];
  const emptied = await sql<EventText[]>`
    UPDATE events e SET stream_id = coalesce(n.stream_id, e.stream_id), data = coalesce(n.data, e.data), metadata = n.metadata
    FROM json_to_recordset(${JSON.stringify(events)}::text::json)
      AS n (position bigint, stream_id text, data jsonb, metadata jsonb)
    WHERE e.position = n.position
    RETURNING e.position, e.event_id::text, e.stream_id, e.version::text, e.type, e.schema_version::text,
      extract(epoch FROM e.recorded_at)::text AS recorded_at, e.metadata::text, e.data::text`;
  return emptied.map((event) => {
    const salt = randomBytes(SALT_BYTES);
    return { position: event.position, left: { leaf: leafOf(salt, event), salt } };
  });
}
