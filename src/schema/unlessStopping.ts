/** What becomes of a call that a gateway which stops will not wait for any longer. */
import { DomainError } from '../domain/errors.ts';

/**
 * The promise's outcome. Once the signal is aborted: no error at all, if the very same call can be sent again elsewhere and
 * nothing is done twice, for its connection is closed then, and that says so. SHUTTING_DOWN, if its caller has to think first: the
 * work itself goes on in its worker.
 * @throws DomainError SHUTTING_DOWN
 */
export function unlessStopping<T>(
  stopping: AbortSignal,
  working: Promise<T>,
  isRepeatable: () => boolean,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = () => {
      if (!isRepeatable()) reject(shuttingDown());
    };
    if (stopping.aborted) stop();
    else stopping.addEventListener('abort', stop, { once: true });
    const fail = (error: unknown) => {
      if (!stopping.aborted || !isRepeatable()) reject(error);
    };
    working.then(resolve, fail).finally(() => stopping.removeEventListener('abort', stop));
  });
}

function shuttingDown(): DomainError {
  return new DomainError(
    'SHUTTING_DOWN',
    'The gateway is stopping before this call has ended. The code goes on in its worker (of a batch the cell that runs, and none behind it); the call had no idempotencyKey, so sending it again would run it again.',
    { accepted: true },
  );
}
