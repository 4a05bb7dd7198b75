/** Counts of the frames from all workers since this process started, by their outcome. For /metrics. */
export interface MessageCounts {
  /** Connections that were opened, including reconnections. */
  connections: number;
  delivered: number;
  /** Frames that had been delivered before, and that the agent sent again after a reconnect. */
  duplicates: number;
  /** Frames that could not be understood. They were dropped, or delivered as a gap. */
  invalid: number;
  /** Frames of types that the gateway has no use for. */
  ignored: number;
  /** Attempts to store messages that failed, and were made again. */
  storeRetries: number;
}

export function createMessageCounts(): MessageCounts {
  return { connections: 0, delivered: 0, duplicates: 0, invalid: 0, ignored: 0, storeRetries: 0 };
}
