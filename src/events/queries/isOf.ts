import type { Owner } from '../../domain/owner.ts';
import type { Sql } from '../connection/client.ts';

/** Whether a row of the table `t` is the owner's. Without a user, the owner is the whole tenant. */
export function isOf(sql: Sql, { tenant, userUuid }: Owner) {
  return sql`
    (t.tenant = ${tenant} AND (${userUuid}::text IS NULL OR t.user_uuid = ${userUuid}::text))`;
}
