/** Code that runs for long, for tests of how it ends. */
import type { Sandbox } from './sdks.ts';

/** Prints a line, so that a client knows that it runs. */
export const LONG = 'print("on", flush=True)\nimport time\ntime.sleep(300)';

export interface Ended {
  /** Null if it ended as it should. */
  readonly error: unknown;
  readonly at: number;
}

/** Resolves, in an object, with the promise of its end once it has printed. */
export async function runningCode(
  sandbox: Sandbox,
  code = LONG,
  timeoutMs = 60_000,
): Promise<{ readonly ended: Promise<Ended> }> {
  let ended: Promise<Ended> | null = null;
  await new Promise<void>((resolve, reject) => {
    ended = endOf(sandbox.runCode(code, { onStdout: () => resolve(), timeoutMs }));
    ended.then(({ error }) => reject(error ?? new Error('It ended, and printed nothing.')), reject);
  });
  if (ended === null) throw new Error('It did not start.');
  return { ended };
}

/** How and when a call ended. */
export function endOf(call: Promise<unknown>): Promise<Ended> {
  return call.then(
    () => ({ error: null, at: Date.now() }),
    (error: unknown) => ({ error, at: Date.now() }),
  );
}
