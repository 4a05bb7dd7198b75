/**
 * The queue of requests that wait for an idle worker. They are served in the order of `fairOrder.ts`, together with
 * those that wait at other gateways. A user has only one place in the queue, however many requests of that user wait:
 * the session that the first one opens serves them all.
 */

import { within } from '../../async/within.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import {
  countByEnvironment,
  type PoolDegradation,
  type WaitingHere,
  type WaitingPlace,
} from '../../domain/poolStatus.ts';
import type { Worker } from '../../domain/worker.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { dealWorkers, fairOrder, type IdleWorkers, type Shares } from './fairOrder.ts';

// One waiting request. It may be offered several workers until it has one, or until it gives up.

interface Waiter extends WaitingPlace {
  readonly isBeingServed: boolean;
  /** Attempts to take the worker. The request then leaves the queue, unless somebody else took the worker first. */
  serve(worker: Worker): Promise<void>;
  giveUp(error: Error): void;
}

/** Creates a waiting request. `place` says whose it is. `outcome` is the promise that the request's caller gets. */
function createWaiter<T>(
  place: WaitingPlace,
  attempt: (worker: Worker) => Promise<T>,
  onLeave: (waiter: Waiter) => void,
): { readonly waiter: Waiter; readonly outcome: Promise<T> } {
  let isOver = false;
  let isBeingServed = false;
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const outcome = new Promise<T>((resolveOutcome, rejectOutcome) => {
    resolve = resolveOutcome;
    reject = rejectOutcome;
  });
  const settle = (tell: () => void) => {
    if (isOver) return;
    isOver = true;
    onLeave(waiter);
    tell();
  };
  const waiter: Waiter = {
    ...place,
    get isBeingServed() {
      return isBeingServed;
    },
    giveUp: (error) => settle(() => reject(error)),
    serve: async (worker) => {
      isBeingServed = true;
      try {
        const value = await attempt(worker);
        settle(() => resolve(value));
      } catch (error: unknown) {
        const isTaken = error instanceof ConcurrencyError && error.on === 'stream';
        if (!isTaken) settle(() => reject(error));
      } finally {
        isBeingServed = false;
      }
    },
  };
  return { waiter, outcome };
}

/**
 * The error for a request that has waited too long for a worker.
 * @param degradation why workers cannot be made, if known
 */
export function poolExhausted(
  maxTotalWorkers: number,
  waitedMs: number,
  degradation: PoolDegradation | null,
): DomainError {
  if (degradation !== null) {
    return new DomainError(
      'WORKER_START_FAILED',
      `No worker was ready within ${waitedMs} ms. ${degradation.message} The operator finds the details in the log.`,
      { retryAfterMs: RETRY_AFTER_MS },
    );
  }
  return new DomainError(
    'POOL_EXHAUSTED',
    `No worker was free within ${waitedMs} ms (the pool has at most ${maxTotalWorkers}). Release sessions that are done, or try again.`,
    { retryAfterMs: RETRY_AFTER_MS },
  );
}

/**
 * How long a request's last chance may take. It consists of a few short database queries. If they take longer, the
 * database counts as away.
 */
const LAST_CHANCE_MS = 2_000;
/**
 * If the user whose turn it is waits at another gateway, an idle worker is left for that user for this long. The other
 * gateway takes the worker within milliseconds, unless it is slow or has just stopped.
 */
const FAIR_YIELD_MS = 200;
/**
 * At most this many waiting users are reported to other gateways. That is enough, because fewer workers become idle at
 * the same time.
 */
const MAX_REPORTED_PLACES = 128;

interface WorkerQueueDeps {
  /**
   * Idle workers that can be claimed now: as many of each environment as are wanted if it has them, or more. An
   * environment that serves no sessions any more is absent.
   */
  readonly candidates: (wanted: ReadonlyMap<string | null, number>) => Promise<IdleWorkers>;
  /** The users who wait at other gateways, as far as known. */
  readonly elsewhere: () => Promise<readonly WaitingPlace[]>;
  /** How many sessions each tenant has. Called only if tenants compete. */
  readonly busy: () => Promise<Shares['busy']>;
  readonly weights: Shares['weights'];
  /** Called when a request waits and no worker is idle, so that workers are made. */
  readonly onWaiting: () => void;
  /** Called when the number of waiting requests has changed. */
  readonly onChange: () => void;
  /** Called when a round failed because the database is away. Requests keep waiting, and the next wake tries again. */
  readonly onError: (error: unknown) => void;
  /** The error for a request that waited too long because no worker was free. */
  readonly exhausted: (waitedMs: number, environment: string | null) => Error;
  /** The error for a request that waited too long because the database did not answer. */
  readonly unanswered: (waitedMs: number) => Error;
}

/** The user who makes a request, and the environment whose worker the user needs. */
export type Who = Pick<WaitingPlace, 'tenant' | 'user' | 'environment'>;

/**
 * Registers `leave`, which is called when nobody wants a worker for the request any more. Returns a function that
 * removes it again.
 */
export type OnGone = (leave: (error: Error) => void) => () => void;

interface WorkerQueue {
  /** The number of waiting requests. */
  readonly waiting: number;
  /** The waiting requests, as they are reported to other gateways. */
  here(): WaitingHere;
  /**
   * The waiting users who still need a worker. A user whose request is being served does not count: the worker that
   * serves it may no longer be counted as idle, and then one worker too many would be made.
   */
  readonly unserved: readonly WaitingPlace[];
  /**
   * Calls `attempt` with an idle worker when it is this request's turn, and resolves with its result. If somebody else
   * took that worker first (`attempt` throws a ConcurrencyError on its stream), the request waits for the next worker.
   * If its environment serves no sessions any more, it is rejected with a ConcurrencyError on `open-session`.
   * @param onGone reports that nobody wants the worker any more. The request then leaves the queue, but an attempt that
   * is under way continues
   * @throws any other error of `attempt`; after `waitMs`, `exhausted` or `unanswered`; the error that `onGone` passes
   */
  claim<T>(
    who: Who,
    attempt: (worker: Worker) => Promise<T>,
    waitMs: number,
    onGone?: OnGone,
  ): Promise<T>;
  /** The user has a session now: rejects the user's other requests with a ConcurrencyError on `open-session`. */
  served(user: string): void;
  /** A worker may have become idle. */
  wake(): void;
  /** Rejects every waiting request with `error`. */
  close(error: Error): void;
}

export function createWorkerQueue(deps: WorkerQueueDeps): WorkerQueue {
  const waiters: Waiter[] = [];
  let pumping: Promise<boolean> | null = null;
  let isWoken = false;
  const yielding = createYielding(() => void pump());

  async function serveRound(): Promise<boolean> {
    const elsewhere = await deps.elsewhere();
    const wanted = countByEnvironment([...line(waiters), ...elsewhere]);
    const idle = await deps.candidates(wanted);
    // Nothing is known of the environments of requests that have joined since, and of users' further requests.
    const isGone = (name: string | null) => wanted.has(name) && !idle.has(name);
    for (const waiter of [...waiters])
      if (isGone(waiter.environment)) waiter.giveUp(new ConcurrencyError('open-session'));
    const isScarce = [...idle].some(
      ([name, { length }]) => length > 0 && length < (wanted.get(name) ?? 0),
    );
    const competing = new Set([...waiters, ...elsewhere].map(({ tenant }) => tenant));
    const mustCompare = isScarce && competing.size > 1;
    const busy = mustCompare ? await deps.busy() : new Map<string, number>();
    const { given, left } = dealWorkers({
      own: line(waiters),
      elsewhere,
      idle,
      busy,
      weights: deps.weights,
      isOverdue: yielding.isOverdue,
    });
    yielding.leave(left);
    await Promise.all(given.map(({ place, worker }) => place.serve(worker)));
    return given.length > 0;
  }

  async function serveAll(): Promise<boolean> {
    try {
      while (isWoken && waiters.length > 0) {
        isWoken = false;
        if (await serveRound()) isWoken = true;
      }
      return true;
    } catch (error: unknown) {
      deps.onError(error);
      return false;
    }
  }

  /** Resolves when every waiting request has had its chance. False: the idle workers could not be read. */
  function pump(): Promise<boolean> {
    isWoken = true;
    pumping ??= serveAll().finally(() => {
      pumping = null;
      if (waiters.length === 0) yielding.leave([]);
      if (waiters.length === 0) return;
      deps.onWaiting();
      if (isWoken) void pump();
    });
    return pumping;
  }

  /**
   * Gives a request one more chance when its time is over. A request that is being served at that moment is not
   * rejected.
   */
  async function lastChance(waiter: Waiter, startedAt: number): Promise<void> {
    const isAnswered = await within(LAST_CHANCE_MS, pump(), () => false);
    if (!isAnswered && waiter.isBeingServed) await pumping;
    const waitedMs = Date.now() - startedAt;
    waiter.giveUp(
      isAnswered ? deps.exhausted(waitedMs, waiter.environment) : deps.unanswered(waitedMs),
    );
  }

  function leave(waiter: Waiter): void {
    const index = waiters.indexOf(waiter);
    if (index >= 0) waiters.splice(index, 1);
    deps.onChange();
  }

  return {
    get waiting() {
      return waiters.length;
    },
    get unserved() {
      return line(waiters).filter(({ isBeingServed }) => !isBeingServed);
    },
    here: () => ({ calls: callsOf(waiters), places: firstTurns(line(waiters), deps.weights) }),
    claim: (who, attempt, waitMs, onGone) => {
      const startedAt = Date.now();
      const { waiter, outcome } = createWaiter({ ...who, since: startedAt }, attempt, leave);
      const timer = setTimeout(() => void lastChance(waiter, startedAt), waitMs);
      waiters.push(waiter);
      const off = onGone?.(waiter.giveUp);
      deps.onChange();
      void pump();
      return outcome.finally(() => {
        clearTimeout(timer);
        off?.();
      });
    },
    served: (user) => {
      const others = waiters.filter((waiter) => waiter.user === user && !waiter.isBeingServed);
      for (const waiter of others) waiter.giveUp(new ConcurrencyError('open-session'));
    },
    wake: () => void pump(),
    close: (error) => {
      for (const waiter of [...waiters]) waiter.giveUp(error);
      yielding.leave([]);
    },
  };
}

/** Each user's first request. */
function line(waiters: readonly Waiter[]): Waiter[] {
  const users = new Set<string>();
  return waiters.filter(({ user }) => {
    const isFirst = !users.has(user);
    users.add(user);
    return isFirst;
  });
}

function callsOf(waiters: readonly Waiter[]): Map<string, number> {
  const calls = new Map<string, number>();
  for (const { tenant } of waiters) calls.set(tenant, (calls.get(tenant) ?? 0) + 1);
  return calls;
}

function firstTurns(users: readonly Waiter[], weights: Shares['weights']): WaitingPlace[] {
  const turns = [...fairOrder(users, { busy: new Map(), weights })];
  return turns
    .slice(0, MAX_REPORTED_PLACES)
    .map(({ tenant, user, since, environment }) => ({ tenant, user, since, environment }));
}

/**
 * Remembers how long each worker has been left for other gateways. Calls `onOverdue` when one has been left for
 * {@link FAIR_YIELD_MS}.
 */
function createYielding(onOverdue: () => void) {
  let leftSince = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  return {
    isOverdue: ({ id }: Worker) => {
      const since = leftSince.get(id);
      return since !== undefined && performance.now() - since >= FAIR_YIELD_MS;
    },
    /** Replaces the workers that are left for other gateways by these. */
    leave: (workers: readonly Worker[]) => {
      const now = performance.now();
      leftSince = new Map(workers.map(({ id }) => [id, leftSince.get(id) ?? now]));
      clearTimeout(timer);
      if (leftSince.size === 0) return;
      const overdueInMs = Math.min(...leftSince.values()) + FAIR_YIELD_MS - now;
      timer = setTimeout(onOverdue, Math.max(overdueInMs, 1));
    },
  };
}
