import type { Duplex } from 'node:stream';

/**
 * How to reach a worker's agent. Its runtime decides what is behind it: a socket on this machine, or another machine.
 */
export interface AgentAddress {
  /** Opens a new connection, which the caller owns. If the connection cannot be made, the stream emits an error. */
  open(): Duplex;
  /**
   * Resolves as soon as the agent accepts connections, which it does once its kernel has answered.
   * @throws the signal's reason when the signal aborts; an error that waiting cannot heal is thrown immediately
   */
  untilOpen(signal: AbortSignal): Promise<void>;
}
