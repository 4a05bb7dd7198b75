import { createOneAtATime, type OneAtATime } from './oneAtATime.ts';

/** Runs tasks of the same name one at a time, in the order of the calls. */
export interface InOrder {
  /** @returns the task's result. Null if too many tasks of this name wait or run: the task is then not run */
  run<T>(name: string, task: () => Promise<T>): Promise<T> | null;
}

/** @param maxWaiting how many tasks of one name may wait or run at the same time */
export function createInOrder(maxWaiting: number): InOrder {
  const queues = new Map<string, { readonly run: OneAtATime; count: number }>();
  return {
    run: (name, task) => {
      const queue = queues.get(name) ?? { run: createOneAtATime(), count: 0 };
      if (queue.count >= maxWaiting) return null;
      queues.set(name, queue);
      queue.count += 1;
      return queue.run(task).finally(() => {
        queue.count -= 1;
        if (queue.count === 0) queues.delete(name);
      });
    },
  };
}
