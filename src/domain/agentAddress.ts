import type { Duplex } from 'node:stream';

/** Where a worker's agent is reached. What is behind it is its runtime's business: a socket on this machine, or another machine. */
export interface AgentAddress {
  /** A new connection. Whoever opens it owns it; if it cannot be made, the stream fails with an error. */
  open(): Duplex;
  /**
   * Resolves as soon as the agent accepts connections, which it does when its kernel has answered.
   * @throws the signal's reason; and at once an error that waiting does not heal
   */
  untilOpen(signal: AbortSignal): Promise<void>;
}
