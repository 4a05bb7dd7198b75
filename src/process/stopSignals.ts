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
 * Calls `close` at the first signal, then ends the process: with `process.exitCode` if it closed in time. The returned function
 * stops it in the same way without a signal, with exit code 1 and after saying why; while it stops already, it does nothing.
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
