import type { Duplex } from 'node:stream';

/**
 * Lets a connection write what it receives into the reader's memory, instead of allocating memory for each piece. Such
 * a connection emits no `data`. `pause()` and `resume()` still work.
 */
export interface ReadInto {
  /** Returns the memory for the next bytes. Called once at first, and after each `callback`. */
  readonly buffer: () => Uint8Array;
  /**
   * Called when the first `bytes` bytes of `buffer` are filled. If it returns false, nothing more is read until
   * `resume()`.
   */
  readonly callback: (bytes: number, buffer: Uint8Array) => boolean;
}

/**
 * How to reach a worker's agent. The worker's runtime decides whether that is a socket on this machine or another
 * machine.
 */
export interface AgentAddress {
  /** Opens a new connection, which the caller owns. If the connection cannot be made, the stream emits an error. */
  open(into?: ReadInto): Duplex;
  /**
   * Resolves as soon as the agent accepts connections, which it does once its kernel has answered.
   * @throws the signal's reason when the signal aborts; an error that waiting cannot fix is thrown immediately
   */
  untilOpen(signal: AbortSignal): Promise<void>;
}
