/** What becomes of a call that a gateway which stops will not wait for any longer. */
import { DomainError } from '../../domain/errors.ts';

/**
 * The outcome of `run`, which calls `onAccepting` right before its request is recorded. Once the signal is aborted: no outcome at
 * all, if the very same call can be sent again elsewhere and nothing is done twice, for its connection is closed then, and that
 * says so. It can, until it is accepted, and if it has an idempotency key. Else SHUTTING_DOWN, for its caller has to think first:
 * the work itself goes on in its worker.
 * @param hasKey whether all that the call wants recorded has an idempotency key
 * @throws DomainError SHUTTING_DOWN
 */
export function unlessStopping<T>(
  stopping: AbortSignal,
  hasKey: boolean,
  run: (onAccepting: () => void) => Promise<T>,
): Promise<T> {
  let isRepeatable = true;
  const running = run(() => {
    isRepeatable = hasKey;
  });
  return new Promise<T>((resolve, reject) => {
    const stop = () => {
      if (!isRepeatable) reject(shuttingDown());
    };
    if (stopping.aborted) stop();
    else stopping.addEventListener('abort', stop, { once: true });
    const fail = (error: unknown) => {
      if (!stopping.aborted || !isRepeatable) reject(error);
    };
    running.then(resolve, fail).finally(() => stopping.removeEventListener('abort', stop));
  });
}

function shuttingDown(): DomainError {
  return new DomainError(
    'SHUTTING_DOWN',
    'The gateway is stopping before this call has ended. The code goes on in its worker (of a batch the cell that runs, and none behind it); the call had no idempotencyKey, so sending it again would run it again.',
    { accepted: true },
  );
}
