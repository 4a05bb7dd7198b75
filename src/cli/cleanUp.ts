import { type Closers, closeAll } from '../async/closeAll.ts';
import { messageOf } from '../domain/errors.ts';

/**
 * Undoes what a command did before `failure`, in reverse order, and goes on if a step fails.
 * @throws AggregateError of `failure` and of the steps that failed. If none did, the caller throws `failure`
 */
export async function cleanUp(failure: unknown, steps: Closers): Promise<void> {
  await closeAll(steps).catch((left: unknown) => {
    const message = `${messageOf(failure)} Not all of it was undone.`;
    throw new AggregateError([failure, left], message);
  });
}
