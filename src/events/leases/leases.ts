/**
 * Who may act for a thing now. A lease is a row `(name, holder, epoch, expires_at)` on the database's clock; each change of
 * holder, and each restart of the same holder, raises the epoch. A holder that is late loses nothing but the right to act:
 * its writes carry the old epoch and are refused.
 */
import type { GatewayId, WorkerId } from '../../domain/ids.ts';
import type { Cursor } from '../store/eventStore.ts';

export interface Leases {
  /** The epoch, or null while another live gateway holds it. Taking one's own again (after a restart) succeeds at once. */
  acquire(name: string): Promise<number | null>;
  /**
   * The lease on a worker's channel, and where its messages were left: both in one transaction, so whatever the
   * predecessor had not committed by then never will be. `cursor.seq` 0, `bootId` '' and `progress` null if fresh.
   */
  acquireWorker(workerId: WorkerId): Promise<Cursor | null>;
  /**
   * Whether it is certain, by this process's own clock, that nobody else has the lease now: false also while it could not be
   * renewed for its whole life (the database was away, or this process was paused), though it may still be ours.
   */
  isHeld(name: string): boolean;
  release(name: string): Promise<void>;
  releaseWorker(workerId: WorkerId): Promise<void>;
  /** Called with names whose renewal found them taken by another. */
  onLost(listener: (name: string) => void): () => void;
  /**
   * Workers that somebody has to act for and nobody live does (no lease, or an expired one): those that are not over, and
   * those that are for {@link SETTLE_LIMIT_MS} and whose executions have not ended.
   */
  orphanedWorkers(): Promise<WorkerId[]>;
  /** How long the first lease of another gateway still lives if it is not renewed; null: none does. */
  othersExpireInMs(): Promise<number | null>;
  /** Tells others that this gateway lives (lease `gateway-<id>`), until it is closed or dies. Idempotent. */
  announce(): Promise<void>;
  /** The ids of those that live and have announced it, but for this one. */
  otherGateways(): Promise<GatewayId[]>;
  /** Stops renewing and gives up all (they expire at once), so that another gateway need not wait. */
  close(): Promise<void>;
}

/** How long a lease lives without renewal: a dead gateway's workers are taken over within this and one look (< 3 s). */
export const LEASE_TTL_MS = 2_000;
export const LEASE_RENEW_INTERVAL_MS = 500;
/** Whoever records a worker's end ends its executions right after; if they have not ended by then, nobody is about to. */
export const SETTLE_LIMIT_MS = 3_000;
