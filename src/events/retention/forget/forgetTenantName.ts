/**
 * A tenant's name is also where its own rows and streams are not: in the metadata of what its tokens have caused, and in
 * the links of the audit chain.
 */
import type { Owner } from '../../../domain/owner.ts';
import { redactedMetadata } from '../../../domain/redactedEvents.ts';
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { recordRemoval } from '../recordRemoval.ts';
import { emptyEvents } from './emptyEvents.ts';
import {
  type Forgetting,
  type Forgotten,
  lockForgetting,
  NOTHING,
  removalOf,
  sumOf,
} from './forgetting.ts';
import { pseudonymsFor } from './pseudonyms.ts';

const PAGE_EVENTS = 1_000;
const PAGE_LINKS = 5_000;

/** Events of workers, for example, and of other tenants, if an operator of this one caused them. */
export async function forgetActors(
  { transaction }: OneConnection,
  forgetting: Forgetting,
): Promise<Forgotten> {
  let total = NOTHING;
  for (let after = 0; ; ) {
    const page = await transaction((sql) => forgetActorsOfPage(sql, forgetting, after));
    if (page === null) return total;
    total = sumOf(total, page);
    after = page.last;
  }
}

async function forgetActorsOfPage(
  sql: Sql,
  forgetting: Forgetting,
  after: number,
): Promise<(Forgotten & { readonly last: number }) | null> {
  await lockForgetting(sql);
  const { owner, sealed } = forgetting;
  const { tenant } = owner;
  const stored = await sql<StoredMetadata[]>`
    SELECT position, stream_id, metadata FROM events
    WHERE position > ${after} AND position <= ${sealed} AND metadata -> 'actor' ->> 'tenant' = ${tenant}
      -- What was removed by the command, whose tenant is always the same.
      AND stream_id NOT LIKE 'removal-%'
    ORDER BY position LIMIT ${PAGE_EVENTS}`;
  const last = stored.at(-1)?.position;
  if (last === undefined) return null;
  const pseudonyms = await pseudonymsFor(sql, owner, []);
  const pseudonym = pseudonyms.tenant ?? tenant;
  const events = await emptyEvents(
    sql,
    stored.map(({ position, metadata }) => ({
      position,
      stream_id: null,
      data: null,
      metadata: redactedMetadata(metadata, { tenant, pseudonym }),
    })),
  );
  const streams = new Set(stored.map(({ streamId }) => streamId)).size;
  const removed = { ...removalOf(owner, pseudonyms), streams, outputs: 0 };
  await recordRemoval(sql, forgetting, removed, events);
  return { last, streams, events: events.length, outputs: 0 };
}

interface StoredMetadata {
  readonly position: number;
  readonly streamId: string;
  readonly metadata: Parameters<typeof redactedMetadata>[0];
}

/** The tenant of a link and its number there are no part of the hash. Numbers stay dense, in the same order. */
export async function renameLinks({ transaction }: OneConnection, owner: Owner): Promise<void> {
  for (;;) {
    const count = await transaction((sql) => renamePage(sql, owner));
    if (count < PAGE_LINKS) return;
  }
}

/** @returns how many links it renamed */
async function renamePage(sql: Sql, owner: Owner): Promise<number> {
  // Sealing, which counts on from the newest number, waits.
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
