/** One waiting request. It may be offered several workers until it has one, or until it gives up. */

import type { WaitingPlace } from '../../domain/waitingPlace.ts';
import type { Worker } from '../../domain/worker.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';

export interface Waiter extends WaitingPlace {
  readonly isBeingServed: boolean;
  /** Attempts to take the worker. The request then leaves the queue, unless somebody else took the worker first. */
  serve(worker: Worker): Promise<void>;
  giveUp(error: Error): void;
}

/** Creates a waiting request of the user with this place. `outcome` is the promise for the request's caller. */
export function createWaiter<T>(
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
