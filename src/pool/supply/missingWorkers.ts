/**
 * Makes missing workers: one for each user who waits at this gateway, and, on the keeper (see `upkeep.ts`), the idle
 * minimum. `planSupply.ts` decides how many workers of each environment are made. Creations run in parallel up to a
 * limit, in the background. After a failure there is a pause. A failure with one environment delays only workers of
 * that environment.
 */

import type { Logger } from 'pino';
import { backOffMs } from '../../async/backOffMs.ts';
import { within } from '../../async/within.ts';
import { messageOf } from '../../domain/errors.ts';
import type { EnvironmentId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import type { ServingEnvironment } from '../../events/queries/environmentQueries.ts';
import { DatabaseAwayError } from '../../events/store/eventStore.ts';
import { planSupply, type Wanted } from './planSupply.ts';
import { type KnownSupply, readSupply, type SupplyStateDeps } from './supplyState.ts';

// The pauses after failures, one for each of several kinds of work.

const BACK_OFF = { firstMs: 500, maxMs: 30_000 };

interface BackOffs<Kind> {
  /** The kinds that are paused now. */
  readonly on: ReadonlySet<Kind>;
  /** How many pauses of this kind there were in a row. */
  failures(kind: Kind): number;
  /** Begins a pause. It doubles with each failure in a row. Failures during a pause do not count again. */
  begin(kind: Kind): void;
  /** The next failure of this kind counts as the first one. */
  reset(kind: Kind): void;
  /** Ends all pauses, and forgets all failures. */
  end(): void;
}

/** @param onOver called when a pause has run its full time */
function createBackOffs<Kind>(random: () => number, onOver: () => void): BackOffs<Kind> {
  const failures = new Map<Kind, number>();
  const timers = new Map<Kind, NodeJS.Timeout>();
  return {
    get on() {
      return new Set(timers.keys());
    },
    failures: (kind) => failures.get(kind) ?? 0,
    begin: (kind) => {
      if (timers.has(kind)) return;
      const count = failures.get(kind) ?? 0;
      failures.set(kind, count + 1);
      const timer = setTimeout(
        () => {
          timers.delete(kind);
          onOver();
        },
        backOffMs(BACK_OFF, count, random),
      );
      timers.set(kind, timer);
    },
    reset: (kind) => void failures.delete(kind),
    end: () => {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      failures.clear();
    },
  };
}

/**
 * A start takes a second of one CPU, with waits for the engine and the disk in between. This many starts at a time keep
 * the CPUs busy. More would only slow down each start, and everything else on the machine.
 */
const PARALLEL_CREATIONS_PER_CPU = 3;
/** How many creations one engine can handle at a time, however many CPUs there are. */
const MAX_PARALLEL_CREATIONS = 32;
/**
 * If the user whose turn it is waits at another gateway, room is left for that user for this long. The other gateway
 * takes the room within milliseconds, unless it is slow or has just stopped.
 */
const FAIR_YIELD_MS = 200;
/** How many idle workers of each environment that serves nobody are ended in one check. The next check ends more. */
const MAX_RETIRED_PER_ENVIRONMENT = 8;
const CLOSE_TIMEOUT_MS = 2_000;

export interface MissingWorkersDeps extends SupplyStateDeps {
  /** The number of CPUs of the machine. */
  readonly cpus: number;
  /** Idle workers of each of these environments: at most `limit` of each, the longest idle first. */
  readonly idleOf: (ids: readonly (EnvironmentId | null)[], limit: number) => Promise<Worker[]>;
  /**
   * @param instead an idle worker that ends to make room. The result is null if the pool is full by now, or if
   * `instead` is not idle any more
   */
  readonly request: (
    environment: ServingEnvironment | null,
    instead: Worker | null,
  ) => Promise<Worker | null>;
  /**
   * Starts a requested worker and awaits it. Aborting the signal ends only the wait: the gateway's next start continues
   * with the worker.
   */
  readonly bringUp: (worker: Worker, signal: AbortSignal) => Promise<void>;
  readonly fail: (worker: Worker, error: unknown) => Promise<void>;
  /** Ends an idle worker, unless a session has it by now. */
  readonly retireIdle: (worker: Worker) => Promise<void>;
  /** @param environment the name of the environment of the worker that was made */
  readonly onSuccess: (environment: string | null) => void;
  readonly onFailure: (error: unknown, environment: string | null) => void;
  readonly random: () => number;
  readonly logger: Logger;
}

interface MissingWorkers {
  /** Checks whether workers are missing. This is cheap: calls during a check are combined into one further check. */
  check(): void;
  /** Checks without waiting for the back-off, because the cause of earlier failures may be over. */
  retryNow(): void;
  /** Begins no further creation, and stops waiting for those under way. The gateway's next start continues them. */
  close(): Promise<void>;
}

export function createMissingWorkers(deps: MissingWorkersDeps): MissingWorkers {
  /** The creations under way, each with its environment. */
  const creations = new Map<Promise<void>, string | null>();
  let checking: Promise<void> | null = null;
  let shouldCheckAgain = false;
  const closing = new AbortController();
  const failedChecks = createBackOffs<'check'>(deps.random, check);
  /** By environment, so that an environment whose workers cannot be started delays no other. */
  const failedStarts = createBackOffs<string | null>(deps.random, check);
  const yielding = createYielding(check);

  async function checkOnce(): Promise<void> {
    const known = await readSupply(deps, countOf(creations.values()));
    const elsewhere = yielding.isOver() ? [] : known.state.elsewhere;
    const plan = planSupply({ ...known.state, elsewhere, failing: failedStarts.on });
    yielding.note(plan.isLeft);
    const maxParallel = Math.min(deps.cpus * PARALLEL_CREATIONS_PER_CPU, MAX_PARALLEL_CREATIONS);
    const make = plan.make.slice(0, Math.max(0, maxParallel - creations.size));
    const instead = await findEvicted(deps, known, make);
    // The next check must count these requests. So this check waits until they are recorded, but not until the workers
    // are made.
    await Promise.all(make.map((wanted, index) => makeOne(known, wanted, instead[index] ?? null)));
    await retireUseless(deps, known);
  }

  async function makeOne(
    { serving }: KnownSupply,
    { environment: name, evicts }: Wanted,
    instead: Worker | null,
  ): Promise<void> {
    const environment = name === null ? null : serving.get(name);
    const isPossible = environment !== undefined && (evicts === null || instead !== null);
    if (!isPossible || closing.signal.aborted || failedStarts.on.has(name)) return;
    const worker = await deps.request(environment, instead).catch((error: unknown) => {
      failed(error, name);
      return null;
    });
    if (worker === null) return;
    const creation = bringUp(worker, name).finally(() => {
      creations.delete(creation);
      check();
    });
    creations.set(creation, name);
  }

  async function bringUp(worker: Worker, environment: string | null): Promise<void> {
    try {
      await deps.bringUp(worker, closing.signal);
      failedStarts.reset(environment);
      deps.onSuccess(environment);
    } catch (error: unknown) {
      if (closing.signal.aborted) return;
      failed(error, environment);
      await deps.fail(worker, error).catch((cause: unknown) => {
        const details = { err: cause, workerId: worker.id };
        deps.logger.error(details, 'could not clean up a failed worker');
      });
    }
  }

  function failed(error: unknown, environment: string | null): void {
    if (closing.signal.aborted) return;
    // An absent database is reported separately, and says nothing about workers.
    if (!(error instanceof DatabaseAwayError)) deps.onFailure(error, environment);
    const failures = failedStarts.failures(environment);
    const details = { error: messageOf(error), failures, ...(environment && { environment }) };
    deps.logger.error(details, 'a worker could not be made');
    failedStarts.begin(environment);
  }

  function checkFailed(error: unknown): void {
    if (closing.signal.aborted) return;
    const details = { error: messageOf(error), failures: failedChecks.failures('check') };
    deps.logger.error(details, 'could not look for missing workers');
    failedChecks.begin('check');
  }

  function check(): void {
    shouldCheckAgain = true;
    if (closing.signal.aborted || checking !== null || failedChecks.on.has('check')) return;
    shouldCheckAgain = false;
    checking = checkOnce()
      .then(() => failedChecks.reset('check'))
      .catch(checkFailed)
      .finally(() => {
        checking = null;
        if (shouldCheckAgain) check();
      });
  }

  return {
    check,
    retryNow: () => {
      failedChecks.end();
      failedStarts.end();
      check();
    },
    close: async () => {
      closing.abort(new Error('The gateway stops.'));
      failedChecks.end();
      failedStarts.end();
      yielding.note(false);
      // A container that the engine is making right now is found at the next start.
      const done = Promise.resolve(checking).then(() => Promise.all(creations.keys()));
      await within(CLOSE_TIMEOUT_MS, done, () => undefined);
    },
  };
}

/** For each wanted worker that needs room, finds an idle worker to end. No idle worker is used twice. */
async function findEvicted(
  { idleOf }: MissingWorkersDeps,
  { idsOf }: KnownSupply,
  make: readonly Wanted[],
): Promise<(Worker | null)[]> {
  const taken = new Set<string>();
  const found: (Worker | null)[] = [];
  for (const { evicts } of make) {
    const idle = evicts === null ? [] : await idleOf(idsOf(evicts), make.length);
    const instead = idle.find(({ id }) => !taken.has(id)) ?? null;
    if (instead !== null) taken.add(instead.id);
    found.push(instead);
  }
  return found;
}

/** Ends idle workers that serve nobody: of former versions, and of environments that are not in use. */
async function retireUseless(
  { idleOf, retireIdle }: MissingWorkersDeps,
  { useless }: KnownSupply,
): Promise<void> {
  if (useless.length === 0) return;
  const idle = await idleOf(useless, MAX_RETIRED_PER_ENVIRONMENT);
  await Promise.all(idle.map((worker) => retireIdle(worker)));
}

function countOf<T>(values: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/**
 * Remembers how long room has been left for other gateways. Calls `onOver` when it has been left for
 * {@link FAIR_YIELD_MS}.
 */
function createYielding(onOver: () => void) {
  let since: number | null = null;
  let timer: NodeJS.Timeout | undefined;
  return {
    isOver: () => since !== null && performance.now() - since >= FAIR_YIELD_MS,
    /** Records whether room is left now. */
    note: (isLeft: boolean) => {
      if (isLeft && since !== null) return;
      clearTimeout(timer);
      since = isLeft ? performance.now() : null;
      if (isLeft) timer = setTimeout(onOver, FAIR_YIELD_MS + 1);
    },
  };
}
