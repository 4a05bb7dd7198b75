/**
 * Lets concurrent callers share runs of `work`. A call during a run waits for the next run, and all calls that wait
 * share that run. So each caller gets the outcome of a run that began after its call.
 */
export function sharedRun<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> | null = null;
  let next: Promise<T> | null = null;

  function begin(): Promise<T> {
    const run = work();
    const over = run.then(
      () => {},
      () => {},
    );
    running = over;
    void over.then(() => {
      if (running === over) running = null;
    });
    return run;
  }

  return () => {
    if (running === null) return begin();
    next ??= running.then(() => {
      next = null;
      return begin();
    });
    return next;
  };
}
