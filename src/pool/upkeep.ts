/**
 * What one gateway of a pool does for all: finds workers that died unnoticed, recycles sessions nobody uses, ends those
 * that are too old, forgets old idempotency keys. Whoever holds the lease `upkeep` is the keeper; each look tries for it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Database } from '../events/database.ts';
import type { Session } from '../events/states.ts';

/** A dead gateway is followed within a lease's life (2 s) and one look: together they stay under the 3 s that it may take. */
const LOOK_INTERVAL_MS = 500;
/** Deaths are told by the engine at once; this catches what it did not tell. */
const SWEEP_INTERVAL_MS = 30_000;
const MAX_SESSIONS_A_ROUND = 100;
/** A look that waits for the database or the engine is left behind: what it does is repeatable. */
const CLOSE_TIMEOUT_MS = 2_000;
const UPKEEP_LEASE = 'upkeep';

export interface UpkeepDeps {
  readonly database: Database;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly sessionIdleTimeoutMs: number;
  readonly sessionMaxLifeMs: number;
  readonly recyclingIntervalMs: number;
  readonly idempotencyTtlMs: number;
  /** Every gateway, each look: take over workers that nobody acts for. */
  readonly adoptOrphans: () => Promise<void>;
  /** The keeper only. */
  readonly sweep: () => Promise<void>;
  readonly closeSession: (session: Session, reason: 'idle' | 'expired') => Promise<void>;
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
  const { leases } = deps.database;
  let timer: NodeJS.Timeout | null = null;
  let looking: Promise<void> = Promise.resolve();
  let sweptAt = 0;
  let recycledAt = 0;

  async function look(): Promise<void> {
    if (!leases.isHeld(UPKEEP_LEASE)) await leases.acquire(UPKEEP_LEASE);
    await deps.adoptOrphans();
    deps.onLook();
    if (!leases.isHeld(UPKEEP_LEASE)) return;
    const now = Date.now();
    if (now - sweptAt >= SWEEP_INTERVAL_MS) {
      sweptAt = now;
      await deps.sweep();
    }
    if (now - recycledAt >= deps.recyclingIntervalMs) {
      recycledAt = now;
      await recycle(deps);
    }
  }

  function lookAgain(): void {
    timer = setTimeout(() => {
      looking = look()
        .catch((error: unknown) =>
          deps.logger.error({ error: messageOf(error) }, 'upkeep failed; it goes on'),
        )
        .finally(() => {
          if (timer !== null) lookAgain();
        });
    }, LOOK_INTERVAL_MS);
  }

  return {
    get isKeeper() {
      return leases.isHeld(UPKEEP_LEASE);
    },
    sweepSoon: () => {
      sweptAt = 0;
    },
    start: async () => {
      await leases.acquire(UPKEEP_LEASE);
      recycledAt = Date.now();
      sweptAt = Date.now();
      lookAgain();
    },
    close: async () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await Promise.race([looking, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    },
  };
}

async function recycle(deps: UpkeepDeps): Promise<void> {
  const { queries } = deps.database;
  const now = deps.now().getTime();
  const idle = await queries.sessionsIdleSince(
    new Date(now - deps.sessionIdleTimeoutMs),
    MAX_SESSIONS_A_ROUND,
  );
  for (const session of idle) await deps.closeSession(session, 'idle');
  const old = await queries.sessionsOpenedBefore(
    new Date(now - deps.sessionMaxLifeMs),
    MAX_SESSIONS_A_ROUND,
  );
  for (const session of old) await deps.closeSession(session, 'expired');
  await queries.deleteIdempotencyKeys(new Date(now - deps.idempotencyTtlMs));
  await queries.deleteRemovedWorkersCursors();
}
