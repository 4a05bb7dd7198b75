/**
 * A tenant's name is also where its own rows and streams are not: in the metadata of what its tokens have caused, and in
 * the links of the audit chain.
 */
import type { Owner } from '../../../domain/owner.ts';
import { redactedMetadata } from '../../../domain/redactedEvents.ts';
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { forgetEvents, type StoredEvent } from './forgetEvents.ts';
import { type Forgetting, type Forgotten, lockForgetting } from './forgetting.ts';
import { pseudonymsFor } from './pseudonyms.ts';

const PAGE_LINKS = 5_000;

/** Events of workers, for example, and of other tenants, if an operator of this one caused them. */
export async function forgetActors(
  connection: OneConnection,
  forgetting: Forgetting,
): Promise<Forgotten> {
  const { sealed } = forgetting;
  const { tenant } = forgetting.owner;
  return await forgetEvents(connection, forgetting, {
    after: (sql, position, limit) => sql<StoredEvent[]>`
      SELECT position, stream_id, type, data, metadata FROM events
      WHERE position > ${position} AND position <= ${sealed} AND metadata -> 'actor' ->> 'tenant' = ${tenant}
        -- What was removed by the command, whose tenant is always the same.
        AND stream_id NOT LIKE 'removal-%'
      ORDER BY position LIMIT ${limit}`,
    left: ({ position, metadata }, names) => {
      const pseudonym = names.tenant ?? tenant;
      const left = redactedMetadata(metadata, { tenant, pseudonym });
      return { position, stream_id: null, data: null, metadata: left };
    },
  });
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
  await lockForgetting(sql);
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
