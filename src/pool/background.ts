import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';

/** Runs work that nobody waits for. A failure is only logged, because the next sweep tries again. */
export function createBackground(logger: Logger): (work: Promise<void>) => void {
  return (work) => {
    work.catch((error: unknown) =>
      logger.error(
        { error: messageOf(error) },
        'background work of the pool failed; the next sweep tries again',
      ),
    );
  };
}
