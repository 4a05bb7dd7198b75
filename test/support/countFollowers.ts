import type { Database } from '../../src/events/database.ts';

/** Counts who is told of output now, over all databases that it has seen: who ended without taking leave is a leak. */
export function countFollowers() {
  let following = 0;

  function counted(takeLeave: () => void): () => void {
    let isOver = false;
    following += 1;
    return () => {
      if (!isOver) following -= 1;
      isOver = true;
      takeLeave();
    };
  }

  return {
    count: () => following,
    /** The same database, counted. */
    of: (database: Database): Database => {
      const { wakeUps } = database;
      return {
        ...database,
        wakeUps: Object.assign(Object.create(wakeUps) as typeof wakeUps, {
          onOutput: (...args: Parameters<typeof wakeUps.onOutput>) =>
            counted(wakeUps.onOutput(...args)),
          onSessionOutput: (...args: Parameters<typeof wakeUps.onSessionOutput>) =>
            counted(wakeUps.onSessionOutput(...args)),
        }),
      };
    },
  };
}
