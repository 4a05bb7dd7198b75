import type { Duplex } from 'node:stream';

/**
 * Where a connection puts what it receives: into memory of the reader's, instead of new memory for each piece. Such a
 * connection emits no `data`; `pause()` and `resume()` work.
 */
export interface ReadInto {
  /** The memory for the next bytes. Called once at first, and after each `callback`. */
  readonly buffer: () => Uint8Array;
  /** So many bytes are in `buffer`. False: read no more until `resume()`. */
  readonly callback: (bytes: number, buffer: Uint8Array) => boolean;
}

/**
 * How to reach a worker's agent. Its runtime decides what is behind it: a socket on this machine, or another machine.
 */
export interface AgentAddress {
  /** Opens a new connection, which the caller owns. If the connection cannot be made, the stream emits an error. */
  open(into?: ReadInto): Duplex;
  /**
   * Resolves as soon as the agent accepts connections, which it does once its kernel has answered.
   * @throws the signal's reason when the signal aborts; an error that waiting cannot heal is thrown immediately
   */
  untilOpen(signal: AbortSignal): Promise<void>;
}
