/** Waits of callers: until the pool serves, until a request is carried out, and until the gateway stops. */
import { onAbort } from '../async/onAbort.ts';
import { within } from '../async/within.ts';
import { DomainError, RETRY_AFTER_MS } from '../domain/errors.ts';
import type { Database } from '../events/database.ts';
import { listenForNews } from '../events/wakeUps/eventNews.ts';
import type { Pool } from '../pool/pool.ts';
import type { ServiceDeps } from './serviceDeps.ts';

/** A start takes well under a second. The limit allows for a machine or an engine that is very busy. */
const LIMIT_MS = 10_000;

/**
 * Resolves when the pool has taken over its workers. Only the first callers of a gateway that was just started have to
 * wait.
 * @throws POOL_INITIALIZING
 */
export async function untilInitialized(
  pool: Pick<Pool, 'isInitializing' | 'onChange'>,
): Promise<void> {
  if (!pool.isInitializing) return;
  let off = () => {};
  const initialized = new Promise<void>((resolve) => {
    off = pool.onChange(() => {
      if (!pool.isInitializing) resolve();
    });
  });
  try {
    await within(LIMIT_MS, initialized, () => {
      throw new DomainError(
        'POOL_INITIALIZING',
        'This gateway is still taking over its workers. Send the request again.',
        { retryAfterMs: RETRY_AFTER_MS },
      );
    });
  } finally {
    off();
  }
}

/**
 * Aborted when nobody waits for the answer any more. A call that still waits for a worker is then given up: otherwise it
 * would open a session of which nobody knows. Left out: the call waits for as long as it said.
 */
export type CallerGone = AbortSignal | undefined;

// Ends waiting calls when the gateway stops.

/** Tells the caller what goes on after a call that requested executions has failed with SHUTTING_DOWN. */
const CODE_RUNS_ON =
  'Its code runs on in the worker (in a batch: only the current cell, not the cells after it). The call had no idempotencyKey (or not for every cell of its batch), so sending it again would run code again.';

/**
 * The outcome of `run`, which calls `onAccepting` right before its request is recorded. After `stopping` is aborted:
 *
 * - A call that can be repeated safely does not fail. The server closes its connection, which tells the client to send
 *   it again to another gateway. Every call can be repeated until it is accepted, and after that only if it has an
 *   idempotency key.
 * - Any other unfinished call fails with SHUTTING_DOWN, because its caller must decide what to do. What it requested
 *   goes on in the worker.
 *
 * @param hasKey whether the call can be repeated after it was accepted: for executions, whether each has an idempotency
 * key
 * @param goesOn sentences that tell the caller what goes on
 * @throws DomainError SHUTTING_DOWN
 */
export function unlessStopping<T>(
  { stopping }: Pick<ServiceDeps, 'stopping'>,
  hasKey: boolean,
  run: (onAccepting: () => void) => Promise<T>,
  goesOn = CODE_RUNS_ON,
): Promise<T> {
  let isRepeatable = true;
  const running = run(() => {
    isRepeatable = hasKey;
  });
  return new Promise<T>((resolve, reject) => {
    const stop = () => {
      if (!isRepeatable) reject(shuttingDown(goesOn));
    };
    const off = onAbort(stopping, stop);
    const fail = (error: unknown) => {
      if (!stopping.aborted || !isRepeatable) reject(error);
    };
    running.then(resolve, fail).finally(off);
  });
}

function shuttingDown(goesOn: string): DomainError {
  return new DomainError('SHUTTING_DOWN', `The gateway stopped before this call ended. ${goesOn}`, {
    accepted: true,
  });
}

/**
 * How long a caller waits until its request to a kernel is carried out. On a busy machine, the start of a kernel
 * without a fork server takes some seconds. A take-over before the start may take as long.
 */
export const CARRY_OUT_LIMIT_MS = 30_000;
/** The event feed reports changes. If it was interrupted, a read at this interval finds the change that it missed. */
const POLL_INTERVAL_MS = 5_000;

interface Awaited<State> {
  readonly streamId: string;
  readonly read: () => Promise<State>;
  /** Whether the wait is over. */
  readonly isDone: (state: State) => boolean;
  /** Called after {@link CARRY_OUT_LIMIT_MS}. Returns the state to resolve with, or throws. */
  readonly whenLate: (state: State) => State;
}

/** Resolves with the first state of the stream for which `isDone` is true. @throws what `whenLate` throws */
export async function untilCarriedOut<State>(
  { wakeUps }: Pick<Database, 'wakeUps'>,
  { streamId, read, isDone, whenLate }: Awaited<State>,
): Promise<State> {
  const limit = performance.now() + CARRY_OUT_LIMIT_MS;
  const news = listenForNews(wakeUps, (event) => event.streamId === streamId);
  try {
    for (;;) {
      const state = await read();
      if (isDone(state)) return state;
      if (performance.now() > limit) return whenLate(state);
      await news.next(POLL_INTERVAL_MS);
    }
  } finally {
    news.close();
  }
}
