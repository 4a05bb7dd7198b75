/** One function to close each thing that has been opened so far, in the order of opening. */
export type Closers = (() => Promise<unknown>)[];

/**
 * Calls the functions one after the other, in reverse order of opening, and empties the list. After a failure it still
 * calls the others.
 * @throws AggregateError of all failures
 */
export async function closeAll(closers: Closers): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    try {
      await close();
    } catch (error: unknown) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Not everything could be closed.');
}
