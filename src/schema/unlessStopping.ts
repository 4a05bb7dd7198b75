/** Lets a gateway that stops answer the calls it will not wait for. */
import { DomainError } from '../errors.ts';

/**
 * The promise's outcome, or SHUTTING_DOWN once the signal is aborted: the work itself goes on in its worker.
 * @throws DomainError SHUTTING_DOWN
 */
export function unlessStopping<T>(stopping: AbortSignal, working: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = () =>
      reject(
        new DomainError(
          'SHUTTING_DOWN',
          'The gateway is stopping before this call has ended. Code that was accepted goes on in its worker: ' +
            'send the same call with the same `idempotencyKey` again to get its outcome.',
        ),
      );
    if (stopping.aborted) stop();
    else stopping.addEventListener('abort', stop, { once: true });
    working.then(resolve, reject).finally(() => stopping.removeEventListener('abort', stop));
  });
}
