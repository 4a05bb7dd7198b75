/** The queries of leases, one statement each. */
import { streamIdOf } from '../../domain/events.ts';
import type { GatewayId, WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { Cursor } from '../store/eventStore.ts';
import { LEASE_TTL_MS, SETTLE_LIMIT_MS } from './leases.ts';

export async function acquireLease(
  { sql, answered }: Client,
  holder: string,
  name: string,
): Promise<number | null> {
  const [row] = await answered(sql<{ epoch: number }[]>`
    INSERT INTO leases AS l (name, holder, epoch, expires_at)
    VALUES (${name}, ${holder}, 1, clock_timestamp() + ${LEASE_TTL_MS} * interval '1 ms')
    ON CONFLICT (name) DO UPDATE
      SET holder = excluded.holder, epoch = l.epoch + 1, expires_at = excluded.expires_at
      WHERE l.holder = excluded.holder OR l.expires_at < clock_timestamp()
    RETURNING epoch`);
  return row?.epoch ?? null;
}

/**
 * The lease and the cursor's epoch change in one statement. If a commit of the former holder is under way, the
 * statement waits for it, because such a commit locks the cursor's row.
 */
export async function acquireWorkerLease(
  { sql, answered }: Client,
  holder: string,
  workerId: WorkerId,
): Promise<Cursor | null> {
  const [cursor] = await answered(sql<Cursor[]>`
    WITH lease AS (
      INSERT INTO leases AS l (name, holder, epoch, expires_at)
      VALUES (${streamIdOf('worker', workerId)}, ${holder}, 1,
        clock_timestamp() + ${LEASE_TTL_MS} * interval '1 ms')
      ON CONFLICT (name) DO UPDATE
        SET holder = excluded.holder, epoch = l.epoch + 1, expires_at = excluded.expires_at
        WHERE l.holder = excluded.holder OR l.expires_at < clock_timestamp()
      RETURNING epoch
    )
    INSERT INTO worker_cursors AS c (worker_id, epoch, boot_id, seq, progress)
    SELECT ${workerId}, lease.epoch, '', 0, NULL FROM lease
    ON CONFLICT (worker_id) DO UPDATE SET epoch = excluded.epoch
    RETURNING worker_id, epoch, boot_id, seq, progress`);
  return cursor ?? null;
}

/**
 * Resolves with the names that are still held. Locks rows in the order of names, so that two gateways cannot deadlock.
 */
export async function renewLeases(
  { sql, answered }: Client,
  holder: string,
  epochs: ReadonlyMap<string, number>,
): Promise<Set<string>> {
  const rows = await answered(sql<{ name: string }[]>`
    WITH mine AS (
      SELECT l.name FROM leases l
      JOIN unnest(${[...epochs.keys()]}::text[], ${[...epochs.values()]}::int[]) AS g (name, epoch)
        ON l.name = g.name AND l.epoch = g.epoch
      WHERE l.holder = ${holder} ORDER BY l.name FOR UPDATE OF l
    )
    UPDATE leases l SET expires_at = clock_timestamp() + ${LEASE_TTL_MS} * interval '1 ms'
    FROM mine WHERE l.name = mine.name RETURNING l.name`);
  return new Set(rows.map(({ name }) => name));
}

/**
 * Writes which schema version the gateway knows. The epoch of its lease shows whether the row belongs to this process:
 * a gateway of another release that starts on the same data directory gets a higher epoch.
 */
export async function writeRelease(
  { sql, answered }: Client,
  gatewayId: string,
  { epoch, version }: { readonly epoch: number; readonly version: number },
): Promise<void> {
  await answered(sql`
    INSERT INTO gateway_releases (gateway_id, epoch, version) VALUES (${gatewayId}, ${epoch}, ${version})
    ON CONFLICT (gateway_id) DO UPDATE SET epoch = excluded.epoch, version = excluded.version`);
}

/** Ends leases immediately. Their rows stay, because an epoch must never fall. */
export async function expireLeases(
  { sql, answered }: Client,
  holder: string,
  epochs: ReadonlyMap<string, number>,
): Promise<void> {
  await answered(sql`
    UPDATE leases l SET expires_at = '-infinity'
    FROM unnest(${[...epochs.keys()]}::text[], ${[...epochs.values()]}::int[]) AS g (name, epoch)
    WHERE l.name = g.name AND l.epoch = g.epoch AND l.holder = ${holder}`);
}

export async function readOrphanedWorkers({ sql, answered }: Client): Promise<WorkerId[]> {
  const rows = await answered(sql<{ id: WorkerId }[]>`
    SELECT w.id FROM workers w LEFT JOIN leases l ON l.name = 'worker-' || w.id
    WHERE w.state <> 'REMOVED' AND (l.name IS NULL OR l.expires_at < clock_timestamp())
      AND (w.ended_at IS NULL OR w.ended_at < clock_timestamp() - ${SETTLE_LIMIT_MS} * interval '1 ms'
        AND EXISTS (SELECT FROM executions x WHERE x.worker_id = w.id AND x.finished_at IS NULL))
    ORDER BY w.requested_at, w.id`);
  return rows.map(({ id }) => id);
}

export async function readOtherGateways(
  { sql, answered }: Client,
  own: string,
): Promise<GatewayId[]> {
  const rows = await answered(sql<{ holder: GatewayId }[]>`
    SELECT holder FROM leases
    WHERE name = 'gateway-' || holder AND holder <> ${own} AND expires_at > clock_timestamp()
    ORDER BY holder`);
  return rows.map(({ holder }) => holder);
}

/** In ms, rounded up, so that the lease has expired by then. */
export async function readNextExpiry(
  { sql, answered }: Client,
  own: string,
): Promise<number | null> {
  const [row] = await answered(sql<{ ms: number | null }[]>`
    SELECT ceil(extract(epoch FROM min(expires_at) - clock_timestamp()) * 1000)::int AS ms FROM leases
    WHERE holder <> ${own} AND expires_at > clock_timestamp()`);
  return row?.ms ?? null;
}
