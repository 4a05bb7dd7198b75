/**
 * SIGINT and SIGTERM. One Ctrl-C can arrive twice within a millisecond (from the terminal to the process group, and from
 * npm), so signals within {@link SAME_SIGNAL_MS} of the first are one; a later one means "at once".
 */
import { messageOf } from '../domain/errors.ts';

const SAME_SIGNAL_MS = 1_000;
/** What the whole stop may take before the process ends without having finished it. */
const STOP_TIMEOUT_MS = 9_500;
/** 128 + SIGINT, by the shells' convention. */
const EXIT_AT_ONCE = 130;

/**
 * Calls `close` at the first signal, then ends the process: with `process.exitCode` if it closed in time. What it returns stops as a
 * signal does.
 */
export function onStopSignals(close: () => Promise<void>): () => void {
  let firstAt: number | null = null;
  const stop = async (): Promise<void> => {
    if (firstAt !== null) {
      if (Date.now() - firstAt > SAME_SIGNAL_MS) process.exit(EXIT_AT_ONCE);
      return;
    }
    firstAt = Date.now();
    console.log(
      'Stopping. Sessions and running code go on in their workers. Signal again to end at once.',
    );
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    await close().catch((error: unknown) => {
      console.error(`cellhouse: ${messageOf(error)}`);
      process.exitCode = 1;
    });
    process.exit();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return stop;
}
