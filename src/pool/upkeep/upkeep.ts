/**
 * What one gateway of a pool does for all: finds workers that died unnoticed, recycles sessions nobody uses, ends those
 * that are too old, forgets old idempotency keys. Whoever holds the lease `upkeep` is the keeper; each look tries for it.
 * What needs the engine goes on beside the looks: an engine that does not answer keeps nobody from taking over workers.
 */
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { within } from '../../async/within.ts';
import { messageOf } from '../../domain/errors.ts';
import type { Database } from '../../events/database.ts';
import { type RecycleDeps, recycleSessions } from './recycleSessions.ts';

/** A dead gateway is followed within a lease's life (2 s) and one look: together they stay under the 3 s that it may take. */
const LOOK_INTERVAL_MS = 500;
/** Deaths are told by the engine at once; this catches what it did not tell. */
const SWEEP_INTERVAL_MS = 30_000;
/** What waits for the database or the engine is left behind: all of it is repeatable. */
const CLOSE_TIMEOUT_MS = 2_000;
const UPKEEP_LEASE = 'upkeep';

export interface UpkeepDeps extends Omit<RecycleDeps, 'queries' | 'isOver'> {
  readonly database: Database;
  readonly logger: Logger;
  readonly recyclingIntervalMs: number;
  readonly idempotencyTtlMs: number;
  /** Every gateway, each look: take over workers that nobody acts for. */
  readonly adoptOrphans: () => Promise<void>;
  /** The keeper only. */
  readonly sweep: () => Promise<void>;
  readonly onLook: () => void;
}

export interface Upkeep {
  readonly isKeeper: boolean;
  /** The engine may have had deaths that nobody told of: sweep at the next look. */
  sweepSoon(): void;
  start(): Promise<void>;
  close(): Promise<void>;
}

export function createUpkeep(deps: UpkeepDeps): Upkeep {
  const { leases, queries } = deps.database;
  const closing = new AbortController();
  let looking: Promise<void> = Promise.resolve();
  const isKeeper = () => leases.isHeld(UPKEEP_LEASE);
  const isOver = () => closing.signal.aborted || !isKeeper();
  const sweeping = createChore(deps.logger, SWEEP_INTERVAL_MS, deps.sweep);
  const recycling = createChore(deps.logger, deps.recyclingIntervalMs, async () => {
    await recycleSessions({ ...deps, queries, isOver });
    if (isOver()) return;
    await queries.deleteIdempotencyKeys(new Date(deps.now().getTime() - deps.idempotencyTtlMs));
    await queries.deleteRemovedWorkersCursors();
  });

  let nextLookMs = LOOK_INTERVAL_MS;

  async function look(): Promise<void> {
    nextLookMs = LOOK_INTERVAL_MS;
    if (!isKeeper()) await leases.acquire(UPKEEP_LEASE);
    await deps.adoptOrphans();
    // Live gateways renew long before; what a dead one held is taken the moment it can be.
    nextLookMs = Math.min(LOOK_INTERVAL_MS, (await leases.othersExpireInMs()) ?? LOOK_INTERVAL_MS);
    deps.onLook();
    if (isOver()) return;
    sweeping.doIfDue();
    recycling.doIfDue();
  }

  async function keepLooking(): Promise<void> {
    for (;;) {
      await pause(nextLookMs, closing.signal);
      if (closing.signal.aborted) return;
      await look().catch((error: unknown) => goOn(deps.logger, error));
    }
  }

  return {
    get isKeeper() {
      return isKeeper();
    },
    sweepSoon: sweeping.soon,
    start: async () => {
      await leases.acquire(UPKEEP_LEASE);
      looking = keepLooking();
    },
    close: async () => {
      closing.abort();
      const all = Promise.all([looking, sweeping.done(), recycling.done()]);
      await within(CLOSE_TIMEOUT_MS, all, () => undefined);
    },
  };
}

/** Something to be done every so often, never twice at once. The first time is due after one interval. */
function createChore(logger: Logger, intervalMs: number, work: () => Promise<void>) {
  let dueAt = performance.now() + intervalMs;
  let doing: Promise<void> | null = null;
  return {
    doIfDue: () => {
      if (doing !== null || performance.now() < dueAt) return;
      dueAt = performance.now() + intervalMs;
      doing = work()
        .catch((error: unknown) => goOn(logger, error))
        .finally(() => {
          doing = null;
        });
    },
    soon: () => {
      dueAt = 0;
    },
    done: async () => {
      await doing;
    },
  };
}

function goOn(logger: Logger, error: unknown): void {
  logger.error({ error: messageOf(error) }, 'upkeep failed; it goes on');
}
