/** How many may go on before the event loop is let run: 16 events sent take 1 to 3 ms, so nobody else waits for long. */
const PER_TURN = 16;

/**
 * Makes those who have something to do at the same time take turns on the event loop, in the order in which they ask: 1,000
 * subscribers that are woken by one commit would otherwise hold it until the last of them has been served.
 */
export function createTurns(): () => Promise<void> {
  const waiting: (() => void)[] = [];

  function serve(): void {
    for (const go of waiting.splice(0, PER_TURN)) go();
    // What these do has been done, and the network been looked at, before the next are served.
    if (waiting.length > 0) setImmediate(serve);
  }

  return () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(serve);
    });
}
