/**
 * The queue of requests that wait for an idle worker. They are served in the order of arrival. A user has only one
 * place in the queue, however many requests of that user wait: the session that the first one opens serves them all.
 */

import { within } from '../../async/within.ts';
import type { Worker } from '../../domain/worker.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';

/** Limit of a request's last chance: a few short database queries. If they take longer, the database counts as away. */
const LAST_CHANCE_MS = 2_000;

export interface WorkerQueueDeps {
  /** Idle workers that can be claimed now, best first, at most `limit`. */
  readonly candidates: (limit: number) => Promise<Worker[]>;
  /** Called when a request waits and no worker is idle, so that workers are made. */
  readonly onWaiting: () => void;
  /** Called when the number of waiting requests has changed. */
  readonly onChange: () => void;
  /** Called when a round failed because the database is away. Requests keep waiting, and the next wake tries again. */
  readonly onError: (error: unknown) => void;
  /** The error for a request that waited too long because no worker was free. */
  readonly exhausted: (waitedMs: number) => Error;
  /** The error for a request that waited too long because the database did not answer. */
  readonly unanswered: (waitedMs: number) => Error;
}

export interface WorkerQueue {
  /** The number of waiting requests. */
  readonly waiting: number;
  /**
   * The number of waiting users who still need a worker. A user whose request is just being served does not count: its
   * worker may no longer count as idle, and then one worker too many would be made.
   */
  readonly unservedUsers: number;
  /**
   * Calls `attempt` with an idle worker when it is this request's turn, and resolves with its result. If somebody else
   * took that worker first (`attempt` throws a ConcurrencyError on its stream), the request waits for the next worker.
   * @throws any other error of `attempt`; after `waitMs`, `exhausted` or `unanswered`
   */
  claim<T>(user: string, attempt: (worker: Worker) => Promise<T>, waitMs: number): Promise<T>;
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

  /** Resolves when every waiting request has had its chance. False: the idle workers could not be read. */
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

  /** Gives a request one more chance when its time is over. A request that is just being served is not rejected. */
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

/** One waiting request. Its caller gets `outcome`. */
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
