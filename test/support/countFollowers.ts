import type { Database } from '../../src/events/database.ts';

/**
 * Counts the subscribers to output wake-ups over all wrapped databases. A subscriber that is never removed is a leak.
 */
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
    /** Wraps a database so that its subscribers are counted. */
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
