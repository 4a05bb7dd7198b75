/**
 * Handles SIGINT and SIGTERM. One Ctrl-C can arrive twice within a millisecond: from the terminal to the process group,
 * and from npm. So all signals within {@link SAME_SIGNAL_MS} of the first count as one. A later signal means "end
 * immediately".
 */
import { messageOf } from '../domain/errors.ts';

const SAME_SIGNAL_MS = 1_000;
/** Limit of the whole stop. After it the process ends, even if the stop is not finished. */
const STOP_TIMEOUT_MS = 9_500;
/** 128 + SIGINT, which is the convention of shells. */
const EXIT_AT_ONCE = 130;

/**
 * Calls `close` at the first signal, then ends the process, with `process.exitCode` if it closed in time. The returned
 * function does the same without a signal: it prints the reason and sets the exit code 1. It does nothing if a stop is
 * under way.
 */
export function onStopSignals(close: () => Promise<void>): (reason: string) => void {
  let isStopping = false;
  let firstSignalAt: number | null = null;

  async function stop(): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    console.log(
      'Stopping. Sessions and running code go on in their workers. Signal again to end at once.',
    );
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    await close().catch((error: unknown) => {
      console.error(`cellhouse: ${messageOf(error)}`);
      process.exitCode = 1;
    });
    process.exit();
  }

  function onSignal(): void {
    if (firstSignalAt !== null && Date.now() - firstSignalAt > SAME_SIGNAL_MS)
      process.exit(EXIT_AT_ONCE);
    firstSignalAt ??= Date.now();
    void stop();
  }

  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return (reason) => {
    if (isStopping) return;
    console.error(`cellhouse: ${reason}`);
    process.exitCode = 1;
    void stop();
  };
}
