import type { Contender } from '../suite/takeTurns.ts';

/** Runs code and resolves with the milliseconds until its result was there. @throws Error unless it is `expected` */
export type RoundTrip = (code: string, expected: string) => Promise<number>;

/** A way to run code, started and warm: Cellhouse's, or what it is compared with. */
export interface CodeRunner {
  readonly name: string;
  /** In one session that stays, over one connection that stays. */
  readonly roundTrip: RoundTrip;
  /** Ends everything that was started. May be called twice. */
  close(): Promise<void>;
}

/** One that runs the same code in each turn. */
export function inTurns(runner: CodeRunner, code: string, expected: string): Contender {
  const { name, roundTrip } = runner;
  return { name, roundTrip: () => roundTrip(code, expected), close: () => runner.close() };
}
