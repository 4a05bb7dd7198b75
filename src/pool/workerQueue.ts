/**
 * Requests that wait for an idle worker, served in the order they came: whoever comes while others wait goes behind them.
 */
import { ConcurrencyError } from '../events/eventStore.ts';
import type { Worker } from '../events/states.ts';

export interface WorkerQueueDeps {
  /** Idle workers that can be claimed now, best first, at most `limit`. */
  readonly candidates: (limit: number) => Promise<Worker[]>;
  /** Somebody waits and no worker is idle: make some. */
  readonly onWaiting: () => void;
  readonly onChange: () => void;
  /** A round failed (the database is away): those who wait go on waiting, and the next wake tries again. */
  readonly onError: (error: unknown) => void;
  /** What a request is told when its time is over. */
  readonly exhausted: (waitedMs: number) => Error;
}

export interface WorkerQueue {
  readonly waiting: number;
  /**
   * Calls `attempt` with an idle worker when it is this request's turn, and resolves as it does. A worker that somebody
   * else took first (a ConcurrencyError on its stream) costs nothing but another try.
   * @throws what `attempt` throws otherwise; after `waitMs`, `exhausted`
   */
  claim<T>(attempt: (worker: Worker) => Promise<T>, waitMs: number, user?: string): Promise<T>;
  /** The user has a session now: whoever else waits for one of theirs is told so (a ConcurrencyError on `open-session`). */
  served(user: string): void;
  /** A worker may have become idle. */
  wake(): void;
  /** Everybody who waits is told `error`. */
  close(error: Error): void;
}

interface Waiter {
  /** Leaves the queue unless somebody else took the worker first. */
  readonly serve: (worker: Worker) => Promise<void>;
  readonly giveUp: (error: Error) => void;
  readonly user: string | undefined;
  isBeingServed: boolean;
  isOver: boolean;
}

export function createWorkerQueue(deps: WorkerQueueDeps): WorkerQueue {
  const waiters: Waiter[] = [];
  let pumping: Promise<void> | null = null;
  let isWoken = false;

  function leave(waiter: Waiter): void {
    waiter.isOver = true;
    const index = waiters.indexOf(waiter);
    if (index >= 0) waiters.splice(index, 1);
    deps.onChange();
  }

  async function serveRound(): Promise<boolean> {
    const idle = await deps.candidates(waiters.length);
    const pairs = waiters.slice(0, idle.length).flatMap((waiter, index) => {
      const worker = idle[index];
      return worker ? [{ waiter, worker }] : [];
    });
    await Promise.all(
      pairs.map(async ({ waiter, worker }) => {
        try {
          waiter.isBeingServed = true;
          await waiter.serve(worker);
        } finally {
          waiter.isBeingServed = false;
        }
      }),
    );
    return pairs.length > 0;
  }

  async function serveAll(): Promise<void> {
    while (isWoken && waiters.length > 0) {
      isWoken = false;
      if (await serveRound()) isWoken = true;
    }
  }

  /** Resolves when everybody who waited had their chance. */
  function pump(): Promise<void> {
    isWoken = true;
    pumping ??= serveAll()
      .catch(deps.onError)
      .finally(() => {
        pumping = null;
        if (waiters.length === 0) return;
        deps.onWaiting();
        if (isWoken) void pump();
      });
    return pumping;
  }

  return {
    get waiting() {
      return waiters.length;
    },
    claim: <T>(attempt: (worker: Worker) => Promise<T>, waitMs: number, user?: string) =>
      new Promise<T>((resolve, reject) => {
        const startedAt = Date.now();
        // Even a request that will not wait has one chance, and one that is just being served is not told otherwise.
        const timer = setTimeout(async () => {
          await pump();
          waiter.giveUp(deps.exhausted(Date.now() - startedAt));
        }, waitMs);
        const settle = (outcome: () => void) => {
          if (waiter.isOver) return;
          clearTimeout(timer);
          leave(waiter);
          outcome();
        };
        const waiter: Waiter = {
          isOver: false,
          isBeingServed: false,
          user,
          giveUp: (error) => settle(() => reject(error)),
          serve: async (worker) => {
            try {
              const value = await attempt(worker);
              settle(() => resolve(value));
            } catch (error: unknown) {
              const isTaken = error instanceof ConcurrencyError && error.on === 'stream';
              if (!isTaken) settle(() => reject(error));
            }
          },
        };
        waiters.push(waiter);
        deps.onChange();
        void pump();
      }),
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
