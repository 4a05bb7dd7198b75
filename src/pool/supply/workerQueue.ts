/**
 * Requests that wait for an idle worker, served in the order they came: whoever comes while others wait goes behind them.
 * A user has one place in the line however many requests wait there, for the session that the first of them opens serves
 * them all.
 */

import { within } from '../../async/within.ts';
import type { Worker } from '../../domain/worker.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';

/** A round is a few short questions to the database; one that takes longer than this finds nobody who answers. */
const LAST_CHANCE_MS = 2_000;

export interface WorkerQueueDeps {
  /** Idle workers that can be claimed now, best first, at most `limit`. */
  readonly candidates: (limit: number) => Promise<Worker[]>;
  /** Somebody waits and no worker is idle: make some. */
  readonly onWaiting: () => void;
  readonly onChange: () => void;
  /** A round failed (the database is away): those who wait go on waiting, and the next wake tries again. */
  readonly onError: (error: unknown) => void;
  /** What a request is told when its time is over: nothing was free, ... */
  readonly exhausted: (waitedMs: number) => Error;
  /** ... or nobody could say whether something was. */
  readonly unanswered: (waitedMs: number) => Error;
}

export interface WorkerQueue {
  /** Requests. */
  readonly waiting: number;
  /**
   * For whom no worker was found yet. Of one who is just being given a worker it is not known whether that counts as idle still:
   * counting both would make a worker too many.
   */
  readonly unservedUsers: number;
  /**
   * Calls `attempt` with an idle worker when it is this request's turn, and resolves as it does. A worker that somebody
   * else took first (a ConcurrencyError on its stream) costs nothing but another try.
   * @throws what `attempt` throws otherwise; after `waitMs`, `exhausted` or `unanswered`
   */
  claim<T>(user: string, attempt: (worker: Worker) => Promise<T>, waitMs: number): Promise<T>;
  /** The user has a session now: whoever else waits for one of theirs is told so (a ConcurrencyError on `open-session`). */
  served(user: string): void;
  /** A worker may have become idle. */
  wake(): void;
  /** Everybody who waits is told `error`. */
  close(error: Error): void;
}

export function createWorkerQueue(deps: WorkerQueueDeps): WorkerQueue {
  const waiters: Waiter[] = [];
  let pumping: Promise<boolean> | null = null;
  let isWoken = false;

  async function serveRound(): Promise<boolean> {
    const idle = await deps.candidates(line(waiters).length);
    const pairs = line(waiters).flatMap((waiter, index) => {
      const worker = idle[index];
      return worker ? [{ waiter, worker }] : [];
    });
    await Promise.all(pairs.map(({ waiter, worker }) => waiter.serve(worker)));
    return pairs.length > 0;
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

  /** Resolves when everybody who waited had their chance; false: nobody could say what is idle. */
  function pump(): Promise<boolean> {
    isWoken = true;
    pumping ??= serveAll().finally(() => {
      pumping = null;
      if (waiters.length === 0) return;
      deps.onWaiting();
      if (isWoken) void pump();
    });
    return pumping;
  }

  /** Even a request that will not wait has one chance, and one that is just being served is not refused meanwhile. */
  async function lastChance(waiter: Waiter, startedAt: number): Promise<void> {
    const isAnswered = await within(LAST_CHANCE_MS, pump(), () => false);
    if (!isAnswered && waiter.isBeingServed) await pumping;
    const waitedMs = Date.now() - startedAt;
    waiter.giveUp(isAnswered ? deps.exhausted(waitedMs) : deps.unanswered(waitedMs));
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
    get unservedUsers() {
      return line(waiters).filter(({ isBeingServed }) => !isBeingServed).length;
    },
    claim: (user, attempt, waitMs) => {
      const { waiter, outcome } = createWaiter(user, attempt, leave);
      const startedAt = Date.now();
      const timer = setTimeout(() => void lastChance(waiter, startedAt), waitMs);
      waiters.push(waiter);
      deps.onChange();
      void pump();
      return outcome.finally(() => clearTimeout(timer));
    },
    served: (user) => {
      const others = waiters.filter((waiter) => waiter.user === user && !waiter.isBeingServed);
      for (const waiter of others) waiter.giveUp(new ConcurrencyError('open-session'));
    },
    wake: () => void pump(),
    close: (error) => {
      for (const waiter of [...waiters]) waiter.giveUp(error);
    },
  };
}

interface Waiter {
  readonly user: string;
  readonly isBeingServed: boolean;
  /** Leaves the queue unless somebody else took the worker first. */
  serve(worker: Worker): Promise<void>;
  giveUp(error: Error): void;
}

/** One request that waits; `outcome` is what its caller is told. */
function createWaiter<T>(
  user: string,
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
    user,
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

/** Each user's first request. */
function line(waiters: readonly Waiter[]): Waiter[] {
  const users = new Set<string>();
  return waiters.filter(({ user }) => {
    const isFirst = !users.has(user);
    users.add(user);
    return isFirst;
  });
}
