/** What became of the frames of all workers' channels since this process started; for /metrics. */
export interface MessageCounts {
  /** Connections that were opened; more than workers: they were lost and made anew. */
  connections: number;
  delivered: number;
  /** Delivered before; sent again after a reconnect. */
  duplicates: number;
  /** Not understood and dropped, or delivered as a gap. */
  invalid: number;
  /** Of types that concern nobody. */
  ignored: number;
}

export function createMessageCounts(): MessageCounts {
  return { connections: 0, delivered: 0, duplicates: 0, invalid: 0, ignored: 0 };
}
