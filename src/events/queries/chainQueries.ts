import type { AuditHead } from '../../domain/auditHead.ts';
import type { Client } from '../connection/client.ts';

export function createChainQueries({ sql, answered }: Client) {
  return {
    /**
     * Seals at most `limit` events, or 16 MiB of them, and closes a day if one is over
     * (`migrations/sql/cellhouse_seal.sql`). Resolves with how many events were sealed: less than `limit` when there
     * are no more. If the byte limit ended the page, it is also `limit`.
     */
    sealEvents: async (gatewayId: string, limit: number): Promise<number> => {
      const [row] = await answered(sql<{ sealed: number }[]>`
        SELECT cellhouse_seal(${gatewayId}, ${limit}) AS sealed`);
      return row?.sealed ?? 0;
    },

    /**
     * How many events have no link yet. Positions whose events were deleted before the chain existed also count, until
     * sealing has passed them.
     */
    unsealedEvents: async (): Promise<number> => {
      const [row] = await answered(sql<{ count: number }[]>`
        SELECT coalesce((SELECT max(position) FROM events), 0) - coalesce((SELECT position FROM chain_head), 0)
          AS count`);
      return row?.count ?? 0;
    },

    /**
     * The open day, if it is in the future: the clock of the database was set back, or was wrong before. Otherwise
     * null.
     */
    openDayAhead: async (): Promise<string | null> => {
      const [row] = await answered(sql<{ day: string }[]>`
        SELECT open_day::text AS day FROM chain_head
        WHERE open_day > (clock_timestamp() AT TIME ZONE 'UTC')::date AND open_day < 'infinity'`);
      return row?.day ?? null;
    },

    /** The heads of all closed days, in order. */
    auditHeads: async (): Promise<AuditHead[]> =>
      await answered(sql<AuditHead[]>`
        SELECT c.chain_id, d.day::text, d.position, encode(d.head, 'hex') AS head
        FROM chain_days d, chain_head c ORDER BY d.position, d.day`),
  };
}
