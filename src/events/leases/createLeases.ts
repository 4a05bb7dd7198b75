import type { Logger } from 'pino';
import { streamIdOf } from '../../domain/events.ts';
import type { GatewayId, WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { Cursor } from '../store/eventStore.ts';
import { LEASE_RENEW_INTERVAL_MS, LEASE_TTL_MS, type Leases, SETTLE_LIMIT_MS } from './leases.ts';

export interface LeasesDeps {
  /** Of its own, so that renewing never waits behind reads. */
  readonly client: Client;
  readonly gatewayId: string;
  readonly logger: Logger;
}

interface Held {
  readonly epoch: number;
  /** By `performance.now()`, counted from before it was asked for: no other gateway can have it until then. */
  validUntil: number;
}

/** {@link Leases} in PostgreSQL, renewed on a timer from the first one taken until {@link Leases.close}. */
export function createLeases({ client, gatewayId, logger }: LeasesDeps): Leases {
  const held = new Map<string, Held>();
  const listeners = new Set<(name: string) => void>();
  let renewing: Promise<void> | null = null;
  let isClosed = false;
  const timer = setInterval(() => {
    renewing ??= renew().finally(() => {
      renewing = null;
    });
  }, LEASE_RENEW_INTERVAL_MS);
  timer.unref();

  async function renew(): Promise<void> {
    if (held.size === 0) return;
    const sent = new Map(held);
    const validUntil = performance.now() + LEASE_TTL_MS;
    try {
      const kept = await renewLeases(client, gatewayId, epochsOf(sent));
      for (const [name, lease] of sent) {
        if (kept.has(name)) lease.validUntil = validUntil;
        // It may have been released or taken anew while the renewal was under way.
        else if (held.get(name) === lease) lose(name);
      }
    } catch (error: unknown) {
      // Whatever was lost meanwhile shows at the next renewal; until then the epochs fence.
      logger.warn({ err: error }, 'Leases could not be renewed; trying again');
    }
  }

  function lose(name: string): void {
    held.delete(name);
    for (const listener of listeners) listener(name);
  }

  /** Null stays null: another has it. */
  async function hold<T>(
    name: string,
    acquiring: () => Promise<T | null>,
    epochOf: (acquired: T) => number,
  ): Promise<T | null> {
    const validUntil = performance.now() + LEASE_TTL_MS;
    const acquired = await acquiring();
    if (acquired === null) return null;
    if (isClosed) throw new Error('Leases are closed.');
    held.set(name, { epoch: epochOf(acquired), validUntil });
    return acquired;
  }

  async function release(name: string): Promise<void> {
    const lease = held.get(name);
    if (lease === undefined) return;
    held.delete(name);
    await expireLeases(client, gatewayId, epochsOf(new Map([[name, lease]])));
  }

  const isHeld = (name: string) => performance.now() < (held.get(name)?.validUntil ?? 0);
  const acquire = (name: string) =>
    hold(
      name,
      () => acquireLease(client, gatewayId, name),
      (epoch) => epoch,
    );

  return {
    acquire,
    acquireWorker: (workerId) =>
      hold(
        streamIdOf('worker', workerId),
        () => acquireWorkerLease(client, gatewayId, workerId),
        ({ epoch }) => epoch,
      ),
    isHeld,
    release,
    releaseWorker: (workerId) => release(streamIdOf('worker', workerId)),
    onLost: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    orphanedWorkers: () => readOrphanedWorkers(client),
    othersExpireInMs: () => readNextExpiry(client, gatewayId),
    announce: async () => {
      const name = `gateway-${gatewayId}`;
      if (!isHeld(name)) await acquire(name);
    },
    otherGateways: () => readOtherGateways(client, gatewayId),
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      clearInterval(timer);
      await renewing;
      const all = epochsOf(held);
      held.clear();
      if (all.size > 0) await expireLeases(client, gatewayId, all);
    },
  };
}

function epochsOf(held: ReadonlyMap<string, Held>): Map<string, number> {
  return new Map([...held].map(([name, { epoch }]) => [name, epoch]));
}

async function acquireLease(
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

/** The lease and the cursor's epoch change in one statement; a predecessor's commit under way holds the cursor's row. */
async function acquireWorkerLease(
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

/** In the order of their names, so that two gateways never wait for each other in a circle. Resolves with those kept. */
async function renewLeases(
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

/** The rows stay, for their epochs must never fall. */
async function expireLeases(
  { sql, answered }: Client,
  holder: string,
  epochs: ReadonlyMap<string, number>,
): Promise<void> {
  await answered(sql`
    UPDATE leases l SET expires_at = '-infinity'
    FROM unnest(${[...epochs.keys()]}::text[], ${[...epochs.values()]}::int[]) AS g (name, epoch)
    WHERE l.name = g.name AND l.epoch = g.epoch AND l.holder = ${holder}`);
}

async function readOrphanedWorkers({ sql, answered }: Client): Promise<WorkerId[]> {
  const rows = await answered(sql<{ id: WorkerId }[]>`
    SELECT w.id FROM workers w LEFT JOIN leases l ON l.name = 'worker-' || w.id
    WHERE w.state <> 'REMOVED' AND (l.name IS NULL OR l.expires_at < clock_timestamp())
      AND (w.ended_at IS NULL OR w.ended_at < clock_timestamp() - ${SETTLE_LIMIT_MS} * interval '1 ms'
        AND EXISTS (SELECT FROM executions x WHERE x.worker_id = w.id AND x.finished_at IS NULL))
    ORDER BY w.requested_at, w.id`);
  return rows.map(({ id }) => id);
}

async function readOtherGateways({ sql, answered }: Client, own: string): Promise<GatewayId[]> {
  const rows = await answered(sql<{ holder: GatewayId }[]>`
    SELECT holder FROM leases
    WHERE name = 'gateway-' || holder AND holder <> ${own} AND expires_at > clock_timestamp()
    ORDER BY holder`);
  return rows.map(({ holder }) => holder);
}

/** Rounded up: by then it has expired. */
async function readNextExpiry({ sql, answered }: Client, own: string): Promise<number | null> {
  const [row] = await answered(sql<{ ms: number | null }[]>`
    SELECT ceil(extract(epoch FROM min(expires_at) - clock_timestamp()) * 1000)::int AS ms FROM leases
    WHERE holder <> ${own} AND expires_at > clock_timestamp()`);
  return row?.ms ?? null;
}
