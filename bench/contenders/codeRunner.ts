import type { Contender } from '../suite/takeTurns.ts';

/**
 * Runs code and resolves with the milliseconds until its result arrived.
 * @throws Error if the result is not `expected`
 */
export type RoundTrip = (code: string, expected: string) => Promise<number>;

/** A started and warm system that runs code: Cellhouse, or one that it is compared with. */
export interface CodeRunner {
  readonly name: string;
  /** Always uses the same session and the same connection. */
  readonly roundTrip: RoundTrip;
  /** Ends everything that was started. May be called twice. */
  close(): Promise<void>;
}

/** A contender that runs the same code in each turn. */
export function inTurns(runner: CodeRunner, code: string, expected: string): Contender {
  const { name, roundTrip } = runner;
  return { name, roundTrip: () => roundTrip(code, expected), close: () => runner.close() };
}
