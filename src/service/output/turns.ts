/**
 * How many callers continue before the event loop does other work. Sending 16 events takes 1 to 3 ms, so other work
 * waits only briefly.
 */
const PER_TURN = 16;

/**
 * Makes simultaneous callers take turns on the event loop, in the order of their calls. Otherwise 1,000 subscribers
 * that are woken by one commit would block the event loop until the last one is served.
 */
export function createTurns(): () => Promise<void> {
  const waiting: (() => void)[] = [];

  function serve(): void {
    for (const go of waiting.splice(0, PER_TURN)) go();
    // Before the next callers continue, these finish their work, and the event loop handles the network.
    if (waiting.length > 0) setImmediate(serve);
  }

  return () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(serve);
    });
}
