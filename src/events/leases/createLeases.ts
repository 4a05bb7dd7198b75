import type { Logger } from 'pino';
import { streamIdOf } from '../../domain/events.ts';
import type { Client } from '../connection/client.ts';
import {
  acquireLease,
  acquireWorkerLease,
  expireLeases,
  readNextExpiry,
  readOrphanedWorkers,
  readOtherGateways,
  renewLeases,
  writeRelease,
} from './leaseQueries.ts';
import { LEASE_RENEW_INTERVAL_MS, LEASE_TTL_MS, type Leases } from './leases.ts';

export interface LeasesDeps {
  /** A client for this purpose alone, so that renewals never wait behind reads. */
  readonly client: Client;
  readonly gatewayId: string;
  /** The schema version that this gateway knows. */
  readonly version: number;
  readonly logger: Logger;
}

interface Held {
  readonly epoch: number;
  /**
   * No other gateway can have the lease before this time (`performance.now()`). The time to live is counted from before
   * the request was sent, so this is never too late.
   */
  validUntil: number;
}

/** {@link Leases} in PostgreSQL, renewed on a timer from the first one taken until {@link Leases.close}. */
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
    orphanedWorkers: () => readOrphanedWorkers(client),
    othersExpireInMs: () => readNextExpiry(client, gatewayId),
    announce: async () => {
      const name = `gateway-${gatewayId}`;
      if (!held.isHeld(name)) announcing = await acquire(name);
      // If this fails, the next call writes it.
      if (announcing === null) return;
      await writeRelease(client, gatewayId, { epoch: announcing, version });
      announcing = null;
    },
    otherGateways: () => readOtherGateways(client, gatewayId),
    close: held.close,
  };
}

/** The leases that this gateway has taken, and their renewal. */
function createHeldLeases({ client, gatewayId, logger }: LeasesDeps) {
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
