import type { Execution } from './execution.ts';

/** A command that runs. Its code is not in its state. */
export interface RunningCommand {
  readonly execution: Execution;
  readonly code: string;
}

/** A command that was found by its process id or its label. */
export interface FoundCommand {
  readonly execution: Execution;
  /** Seq of the last stored output; 0 if there is none. */
  readonly lastSeq: number;
}
