/** Ends waiting calls when the gateway stops. */
import { onAbort } from '../../async/onAbort.ts';
import { DomainError } from '../../domain/errors.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

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
