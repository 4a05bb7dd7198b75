/**
 * Makes missing workers: one for each user who waits at this gateway, and, on the keeper (see `upkeep.ts`), the idle
 * minimum. Creations run in parallel up to a limit, in the background. After a failure it backs off.
 */
import type { Logger } from 'pino';
import { backOffMs } from '../../async/backOffMs.ts';
import { within } from '../../async/within.ts';
import { messageOf } from '../../domain/errors.ts';
import type { Worker } from '../../domain/worker.ts';
import type { PoolCounts } from '../../events/queries/workerQueries.ts';
import { DatabaseAwayError } from '../../events/store/eventStore.ts';

/**
 * A start takes a second of one CPU, with waits for the engine and the disk in between. So many starts at a time keep
 * the CPUs busy. More would only slow down each start, and everything else on the machine.
 */
const PARALLEL_CREATIONS_PER_CPU = 3;
/** How many creations one engine can handle at a time, however many CPUs there are. */
const MAX_PARALLEL_CREATIONS = 32;
const BACK_OFF = { firstMs: 500, maxMs: 30_000 };
const CLOSE_TIMEOUT_MS = 2_000;

export interface RefillDeps {
  readonly counts: () => Promise<PoolCounts>;
  readonly waiting: () => number;
  readonly minIdleWorkers: number;
  readonly maxTotalWorkers: number;
  /** The number of CPUs of the machine. */
  readonly cpus: number;
  /** Whether this gateway is the keeper now. */
  readonly isKeeper: () => boolean;
  /** Null if the pool is full by now. */
  readonly request: () => Promise<Worker | null>;
  /** Starts a requested worker and awaits it. Aborting ends only the waiting; the gateway's next start continues. */
  readonly bringUp: (worker: Worker, signal: AbortSignal) => Promise<void>;
  readonly fail: (worker: Worker, error: unknown) => Promise<void>;
  readonly onSuccess: () => void;
  readonly onFailure: (error: unknown) => void;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface Refill {
  /** Looks now whether workers are missing. This is cheap: calls during a look are combined into one further look. */
  look(): void;
  /** Looks now, without waiting for the back-off: the cause of failed creations may be over. */
  retryNow(): void;
  /** Begins no further creation, and stops waiting for those under way. The gateway's next start continues them. */
  close(): Promise<void>;
}

export function createRefill(deps: RefillDeps): Refill {
  const creations = new Set<Promise<void>>();
  let looking: Promise<void> | null = null;
  let shouldLookAgain = false;
  const closing = new AbortController();
  const backOff = createBackOff(deps.random, look);

  async function lookOnce(): Promise<void> {
    const count = missing(deps, await deps.counts(), creations.size);
    // The next look must count these requests, so this look waits until they are recorded, but not for the creations.
    await Promise.all(Array.from({ length: count }, makeOne));
  }

  async function makeOne(): Promise<void> {
    if (closing.signal.aborted || backOff.isOn) return;
    const worker = await deps.request();
    if (worker === null) return;
    const creation = bringUp(worker).finally(() => {
      creations.delete(creation);
      look();
    });
    creations.add(creation);
  }

  async function bringUp(worker: Worker): Promise<void> {
    try {
      await deps.bringUp(worker, closing.signal);
      backOff.reset();
      deps.onSuccess();
    } catch (error: unknown) {
      if (closing.signal.aborted) return;
      failed(error);
      await deps.fail(worker, error).catch((cause: unknown) => {
        const details = { err: cause, workerId: worker.id };
        deps.logger.error(details, 'could not clean up a failed worker');
      });
    }
  }

  function failed(error: unknown): void {
    if (closing.signal.aborted) return;
    // An absent database is reported separately, and says nothing about workers.
    if (!(error instanceof DatabaseAwayError)) deps.onFailure(error);
    const details = { error: messageOf(error), failures: backOff.failures };
    deps.logger.error(details, 'a worker could not be made');
    backOff.begin();
  }

  function look(): void {
    shouldLookAgain = true;
    if (closing.signal.aborted || looking !== null || backOff.isOn) return;
    shouldLookAgain = false;
    looking = lookOnce()
      .catch(failed)
      .finally(() => {
        looking = null;
        if (shouldLookAgain) look();
      });
  }

  return {
    look,
    retryNow: () => {
      backOff.reset();
      backOff.end();
      look();
    },
    close: async () => {
      closing.abort(new Error('The gateway stops.'));
      backOff.end();
      // A container that the engine is making right now is found at the next start.
      const done = Promise.resolve(looking).then(() => Promise.all(creations));
      await within(CLOSE_TIMEOUT_MS, done, () => undefined);
    },
  };
}

/** How many creations to begin now. @param underWay creations of this gateway */
function missing(
  { cpus, isKeeper, maxTotalWorkers, minIdleWorkers, waiting }: RefillDeps,
  { starting, idle, assigned }: PoolCounts,
  underWay: number,
): number {
  // Workers that other gateways are making are for the users who wait there.
  const forWaiting = waiting() - idle - underWay;
  const forIdle = isKeeper() ? minIdleWorkers + waiting() - idle - starting : 0;
  const room = maxTotalWorkers - starting - idle - assigned;
  const maxParallel = Math.min(cpus * PARALLEL_CREATIONS_PER_CPU, MAX_PARALLEL_CREATIONS);
  return Math.max(0, Math.min(Math.max(forWaiting, forIdle), room, maxParallel - underWay));
}

/** The pause after a failure. It doubles with each failure in a row. Failures during a pause do not count again. */
function createBackOff(random: () => number, onOver: () => void) {
  let failures = 0;
  let timer: NodeJS.Timeout | null = null;
  return {
    get isOn() {
      return timer !== null;
    },
    get failures() {
      return failures;
    },
    begin: () => {
      if (timer !== null) return;
      const pauseMs = backOffMs(BACK_OFF, failures, random);
      failures += 1;
      timer = setTimeout(() => {
        timer = null;
        onOver();
      }, pauseMs);
    },
    end: () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
    /** The next failure counts as the first one. */
    reset: () => {
      failures = 0;
    },
  };
}
