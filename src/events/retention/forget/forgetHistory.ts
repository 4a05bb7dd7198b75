/**
 * Forgets a user or a tenant: what they ran, sent and got, their files' names and their variables. The rows stay under
 * another name, with what the audit and the usage need: when something ran, how it ended, and at what cost. Gateways
 * may serve meanwhile.
 *
 * Everything of the owner must have ended before. Each step can be repeated: after a crash, just call this again.
 */
import type { GatewayId, NewId } from '../../../domain/ids.ts';
import type { Owner } from '../../../domain/owner.ts';
import { OWNED_KINDS } from '../../../domain/redactedStates.ts';
import { sealAll } from '../../chain/sealAll.ts';
import type { DatabaseAddress } from '../../connection/databaseAddress.ts';
import { type OneConnection, onOneConnection } from '../../connection/oneConnection.ts';
import { requireSameRelease } from '../../migrations/compatibility.ts';
import { readRelease } from '../../migrations/release.ts';
import { PROJECTIONS } from '../../projections/projections.ts';
import { createChainQueries } from '../../queries/chainQueries.ts';
import { isOf } from '../../queries/isOf.ts';
import { cleanStatistics } from './cleanStatistics.ts';
import { forgetFormerNotebooks } from './forgetFormerNotebooks.ts';
import { forgetRows } from './forgetRows.ts';
import { forgetActors, renameLinks } from './forgetTenantName.ts';
import { actedMeanwhile, type Forgetting, type Forgotten, NOTHING, sumOf } from './forgetting.ts';
import { forgetPseudonyms } from './pseudonyms.ts';

export interface ForgetOptions {
  readonly owner: Owner;
  readonly newId: NewId;
}

/** @throws Error when the database is away, or if something of the owner is still left. It can be called again then */
export async function forgetHistory(
  address: DatabaseAddress,
  { owner, newId }: ForgetOptions,
): Promise<Forgotten> {
  // This waits for a running rebuild, which may take minutes.
  const client = { name: 'forget', statementTimeoutMs: 0, lockTimeoutMs: 0 };
  return await onOneConnection(address, client, async (connection) => {
    await requireSameRelease(connection.sql, readRelease());
    const gatewayId = newId<GatewayId>();
    const sealed = await sealedPosition(connection, gatewayId);
    const forgotten = await forgetAll(connection, { owner, newId, gatewayId, sealed });
    await requireNothing(connection, owner);
    await forgetPseudonyms(connection.sql, owner);
    await cleanStatistics(connection);
    return forgotten;
  });
}

/** Seals all existing events. Only sealed events are changed, so that the chain can show that they were. */
async function sealedPosition(connection: OneConnection, gatewayId: GatewayId): Promise<number> {
  await sealAll(createChainQueries(connection), { gatewayId, pauses: 0, isOver: () => false });
  const [chain] = await connection.sql<{ position: number }[]>`SELECT position FROM chain_head`;
  return chain?.position ?? 0;
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

/** @throws Error if there is something of the owner: somebody has acted for them meanwhile */
async function requireNothing({ sql }: OneConnection, owner: Owner): Promise<void> {
  for (const { table } of OWNED_KINDS.map((kind) => PROJECTIONS[kind])) {
    const [left] = await sql`
      SELECT t.id FROM ${sql(table)} t WHERE ${isOf(sql, owner)} LIMIT 1`;
    if (left) throw actedMeanwhile(table);
  }
}
