/**
 * Which gateway may act for a worker now, or do something else that a lease names, such as the upkeep. A lease is a row
 * `(name, holder, epoch, expires_at)`; times are those of the database's clock. The epoch rises each time that the
 * lease is acquired: by another holder, or by the same holder after a restart. A holder whose lease was taken over can
 * do no harm: its writes carry the old epoch and are refused.
 */
import type { GatewayId, WorkerId } from '../../domain/ids.ts';
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
  orphanedWorkers(): Promise<WorkerId[]>;
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
