/**
 * A tenant's name is not only in its own rows and streams. It is also in the metadata of the events that its tokens
 * have caused, and in the links of the audit chain.
 */
import type { Owner } from '../../../domain/owner.ts';
import { redactedMetadata } from '../../../domain/redactedEvents.ts';
import type { Sql } from '../../connection/client.ts';
import type { OneConnection } from '../../connection/oneConnection.ts';
import { forgetEvents, type StoredEvent } from './forgetEvents.ts';
import { type Forgetting, type Forgotten, lockForgetting } from './forgetting.ts';
import { pseudonymsFor } from './pseudonyms.ts';

const PAGE_LINKS = 5_000;

/**
 * Renames the tenant in the metadata of other events that its tokens caused. These are, for example, events of workers,
 * or of other tenants if an operator of this tenant caused them.
 */
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
export async function renameLinks({ transaction }: OneConnection, owner: Owner): Promise<void> {
  for (;;) {
    const count = await transaction((sql) => renamePage(sql, owner));
    if (count < PAGE_LINKS) return;
  }
}

/** @returns how many links it renamed */
async function renamePage(sql: Sql, owner: Owner): Promise<number> {
  await lockForgetting(sql);
  // Sealing continues from the newest number, so it must wait.
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
