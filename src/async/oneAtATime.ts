/** Runs tasks one at a time, in the order of the calls. A task that fails does not stop those after it. */
export type OneAtATime = <T>(task: () => Promise<T>) => Promise<T>;

export function createOneAtATime(): OneAtATime {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const done = last.then(task);
    last = done.catch(() => undefined);
    return done;
  };
}
