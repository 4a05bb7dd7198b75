/**
 * What `verifyChain` reads, all of it from one snapshot. Nothing here calls a function that somebody could have defined
 * in the database.
 */
import type { AuditHead } from '../../domain/auditHead.ts';
import { REMOVAL_TYPES } from '../../domain/removal.ts';
import type { Sql } from '../connection/client.ts';
import type { EventText } from './leaf.ts';

/** Links of one page. With their events, at 1 MiB of code each, they are 100 MiB in memory. */
const PAGE_LINKS = 100;
/** How many events without a link are named. */
const NAMED_EVENTS = 100;

export interface ChainLink {
  readonly position: number;
  readonly leaf: Buffer;
  readonly salt: Buffer | null;
  /** Null if the event is missing. */
  readonly event: EventText | null;
}

/**
 * The end of the chain, as the database records it. `openDay` is null until the chain has sealed every existing event
 * for the first time.
 */
export interface ChainEnd {
  readonly chainId: string;
  readonly position: number;
  readonly head: string;
  readonly openDay: string | null;
}

export async function readChainEnd(sql: Sql): Promise<ChainEnd | null> {
  const [end] = await sql<ChainEnd[]>`
    SELECT chain_id, position, encode(head, 'hex') AS head, open_day::text FROM chain_head`;
  return end ?? null;
}

export async function readDays(sql: Sql, chainId: string): Promise<AuditHead[]> {
  return await sql<AuditHead[]>`
    SELECT ${chainId}::text AS chain_id, day::text, position, encode(head, 'hex') AS head
    FROM chain_days ORDER BY position, day`;
}

/**
 * All links in order, page by page. The caller must run all of it in one transaction, because it reads from a cursor.
 */
export async function* readLinks(sql: Sql): AsyncGenerator<ChainLink[]> {
  await sql`
    DECLARE links NO SCROLL CURSOR FOR
    SELECT l.position, l.leaf, l.salt, e.event_id::text, e.stream_id, e.version::text, e.type, e.schema_version::text,
      extract(epoch FROM e.recorded_at)::text AS recorded_at, e.metadata::text, e.data::text
    FROM event_links l LEFT JOIN events e ON e.position = l.position ORDER BY l.position`;
  for (;;) {
    const rows = await sql.unsafe<LinkRow[]>(`FETCH ${PAGE_LINKS} FROM links`);
    if (rows.length === 0) return;
    yield rows.map(({ leaf, salt, ...event }) => {
      const { position, eventId } = event;
      return { position, leaf, salt, event: eventId === null ? null : (event as EventText) };
    });
  }
}

type LinkRow = Omit<EventText, 'eventId'> & {
  readonly eventId: string | null;
  readonly leaf: Buffer;
  readonly salt: Buffer | null;
};

/** What a removal has left of an event. */
export interface EventRemoval {
  readonly position: number;
  readonly removalId: string;
  /** Null: nothing. */
  readonly leaf: Buffer | null;
}

/** Removals of the events of one page, in order of positions. */
export async function readEventRemovals(
  sql: Sql,
  first: number,
  last: number,
): Promise<EventRemoval[]> {
  return await sql<EventRemoval[]>`
    SELECT position, removal_id::text, leaf FROM event_removals
    WHERE position BETWEEN ${first} AND ${last} ORDER BY position, removal_id`;
}

/** The events of removals that are not sealed yet, as text. */
export async function readUnsealedRemovals(sql: Sql, headPosition: number): Promise<string[]> {
  const rows = await sql<{ data: string }[]>`
    SELECT data::text AS data FROM events WHERE position > ${headPosition} AND type = ANY (${[...REMOVAL_TYPES]}::text[])`;
  return rows.map(({ data }) => data);
}

export interface Unlinked {
  /** The first of the events up to the head, in order. */
  readonly inserted: readonly { readonly position: number; readonly type: string }[];
  /** How many events are above the head. */
  readonly unsealed: number;
}

/** Events without a link. */
export async function readUnlinked(sql: Sql, headPosition: number): Promise<Unlinked> {
  const inserted = await sql<{ position: number; type: string }[]>`
    SELECT e.position, e.type FROM events e LEFT JOIN event_links l ON l.position = e.position
    WHERE e.position <= ${headPosition} AND l.position IS NULL ORDER BY e.position LIMIT ${NAMED_EVENTS}`;
  const [above] = await sql<{ unsealed: number }[]>`
    SELECT count(*) AS unsealed FROM events WHERE position > ${headPosition}`;
  return { inserted, unsealed: above?.unsealed ?? 0 };
}
