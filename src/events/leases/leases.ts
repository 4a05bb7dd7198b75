/**
 * A lease says which gateway may act for a worker now, or do another exclusive task, such as the upkeep. It is a row
 * `(name, holder, epoch, expires_at)`; times are those of the database's clock. The epoch rises each time that the
 * lease is acquired: by another holder, or by the same holder after a restart. A gateway that is started again on the
 * same DATA_DIR has the same id, so it acquires its own leases at once, without a wait for their expiry.
 *
 * A gateway that has lost the lease of a worker can do no harm: each commit for the worker carries its epoch in a
 * cursor, and the database refuses an old epoch. Commits of the upkeep carry no epoch. They are safe because they name
 * the version of each stream that they change, and because the database checks the limits.
 */

import type { Logger } from 'pino';
import type { DatabaseFaults } from '../../domain/databaseFaults.ts';
import { streamIdOf } from '../../domain/events.ts';
import type { GatewayId, WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { Cursor } from '../store/eventStore.ts';

export interface Leases {
  /**
   * Resolves with the epoch of the acquired lease, or with null while another live gateway holds it. A holder can
   * always acquire its own lease again.
   */
  acquire(name: string): Promise<number | null>;
  /**
   * Acquires the lease on a worker's channel, and reads how far its messages are stored. Both happen in one
   * transaction, so a predecessor cannot commit anything afterwards. For a new worker, `seq` is 0, `bootId` '' and
   * `progress` null.
   */
  acquireWorker(workerId: WorkerId): Promise<Cursor | null>;
  /**
   * Whether it is certain, by this process's own clock, that nobody else has the lease now. It is also false if no
   * renewal has succeeded within the life of the lease (the database was away, or this process was paused). Even then,
   * this gateway may still have the lease.
   */
  isHeld(name: string): boolean;
  release(name: string): Promise<void>;
  releaseWorker(workerId: WorkerId): Promise<void>;
  /** Calls `listener` with the name of each lease that a renewal finds taken by another gateway. */
  onLost(listener: (name: string) => void): () => void;
  /**
   * Workers that need a gateway and have none: they have no lease, or an expired one. These are workers that have not
   * ended, and workers that ended more than {@link SETTLE_LIMIT_MS} ago and still have unfinished executions.
   */
  unheldWorkers(): Promise<WorkerId[]>;
  /**
   * Milliseconds until the first lease of another gateway expires, if it is not renewed. Null if no other gateway has
   * one.
   */
  othersExpireInMs(): Promise<number | null>;
  /** Shows other gateways that this one is alive (lease `gateway-<id>`), until it is closed or dies. Idempotent. */
  announce(): Promise<void>;
  /** The ids of the other live gateways that have announced themselves. */
  otherGateways(): Promise<GatewayId[]>;
  /** Stops renewing and ends all leases immediately, so that another gateway need not wait. */
  close(): Promise<void>;
}

/**
 * How long a lease lives without renewal. A dead gateway's workers are taken over after at most this time plus the
 * interval at which other gateways look for orphans: less than 3 s in total.
 */
export const LEASE_TTL_MS = 2_000;
export const LEASE_RENEW_INTERVAL_MS = 500;
/**
 * The gateway that records a worker's end ends the worker's executions right after. If some are unfinished after this
 * time, that gateway has died or given up.
 */
export const SETTLE_LIMIT_MS = 3_000;

// The queries of leases, one statement each.

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

/**
 * The lease and the cursor's epoch change in one statement. If a commit of the former holder is under way, the
 * statement waits for it, because such a commit locks the cursor's row.
 */
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

/**
 * Resolves with the names that are still held. Locks rows in the order of names, so that two gateways cannot deadlock.
 */
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

/**
 * Writes which schema version the gateway knows. The epoch of its lease shows whether the row belongs to this process:
 * a gateway of another release that starts on the same data directory gets a higher epoch.
 */
async function writeRelease(
  { sql, answered }: Client,
  gatewayId: string,
  { epoch, version }: { readonly epoch: number; readonly version: number },
): Promise<void> {
  await answered(sql`
    INSERT INTO gateway_releases (gateway_id, epoch, version) VALUES (${gatewayId}, ${epoch}, ${version})
    ON CONFLICT (gateway_id) DO UPDATE SET epoch = excluded.epoch, version = excluded.version`);
}

/** Ends leases immediately. Their rows stay, because an epoch must never fall. */
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

async function readUnheldWorkers({ sql, answered }: Client): Promise<WorkerId[]> {
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

/** In ms, rounded up, so that the lease has expired by then. */
async function readNextExpiry({ sql, answered }: Client, own: string): Promise<number | null> {
  const [row] = await answered(sql<{ ms: number | null }[]>`
    SELECT ceil(extract(epoch FROM min(expires_at) - clock_timestamp()) * 1000)::int AS ms FROM leases
    WHERE holder <> ${own} AND expires_at > clock_timestamp()`);
  return row?.ms ?? null;
}

interface LeasesDeps {
  /** A client for this purpose alone, so that renewals never wait behind reads. */
  readonly client: Client;
  readonly gatewayId: string;
  /** The schema version that this gateway knows. */
  readonly version: number;
  readonly logger: Logger;
  readonly faults: Pick<DatabaseFaults, 'leaseRenewalFailures'>;
}

interface Held {
  readonly epoch: number;
  /**
   * No other gateway can have the lease before this time (`performance.now()`). The time to live is counted from before
   * the request was sent, so this is never too late.
   */
  validUntil: number;
}

/** {@link Leases} in PostgreSQL. A timer renews them until {@link Leases.close}. */
export function createLeases(deps: LeasesDeps): Leases {
  const { client, gatewayId, version } = deps;
  const held = createHeldLeases(deps);
  /** The epoch of the lease `gateway-<id>`, as long as the schema version is not written yet. */
  let announcing: number | null = null;
  const acquire = (name: string) =>
    held.hold(
      name,
      () => acquireLease(client, gatewayId, name),
      (epoch) => epoch,
    );
  return {
    acquire,
    acquireWorker: (workerId) =>
      held.hold(
        streamIdOf('worker', workerId),
        () => acquireWorkerLease(client, gatewayId, workerId),
        ({ epoch }) => epoch,
      ),
    isHeld: held.isHeld,
    release: held.release,
    releaseWorker: (workerId) => held.release(streamIdOf('worker', workerId)),
    onLost: held.onLost,
    unheldWorkers: () => readUnheldWorkers(client),
    othersExpireInMs: () => readNextExpiry(client, gatewayId),
    announce: async () => {
      const name = `gateway-${gatewayId}`;
      if (!held.isHeld(name)) announcing = await acquire(name);
      // If `writeRelease` fails, `announcing` stays set, and the next call tries again.
      if (announcing === null) return;
      await writeRelease(client, gatewayId, { epoch: announcing, version });
      announcing = null;
    },
    otherGateways: () => readOtherGateways(client, gatewayId),
    close: held.close,
  };
}

/** The leases that this gateway has taken, and their renewal. */
function createHeldLeases({ client, gatewayId, logger, faults }: LeasesDeps) {
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
        // The lease may have been released or acquired anew during the renewal.
        else if (held.get(name) === lease) lose(name);
      }
    } catch (error: unknown) {
      // The next renewal shows which leases were lost. Until then, the epochs keep this gateway from writing.
      faults.leaseRenewalFailures += 1;
      logger.warn({ err: error }, 'Leases could not be renewed; trying again');
    }
  }

  function lose(name: string): void {
    held.delete(name);
    for (const listener of listeners) listener(name);
  }

  /** Acquires a lease and keeps it for renewal. Null if another gateway has it. */
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

  return {
    hold,
    isHeld: (name: string) => performance.now() < (held.get(name)?.validUntil ?? 0),
    release: async (name: string) => {
      const lease = held.get(name);
      if (lease === undefined) return;
      held.delete(name);
      await expireLeases(client, gatewayId, epochsOf(new Map([[name, lease]])));
    },
    onLost: (listener: (name: string) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
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
