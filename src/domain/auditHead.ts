/**
 * The head of the audit chain at the end of a day. Gateways keep copies outside of the database, so a change in the
 * database is noticed.
 */
export interface AuditHead {
  /** The id of the chain. Each database has its own. */
  readonly chainId: string;
  /** The day (UTC), such as `2026-01-31`. `-infinity`: the first head that covered all events that then existed. */
  readonly day: string;
  /** The position of the last event that the head covers. */
  readonly position: number;
  /** In hexadecimal. */
  readonly head: string;
}

/** What a gateway knows about the audit chain. */
export interface AuditStatus {
  /** How many events are not sealed yet. */
  readonly unsealedEvents: number;
  /** How many heads in this gateway's own file are missing or different in the database. */
  readonly differingHeads: number;
}

/** The head in a line of a gateway's log or of its file `audit-heads`. Null for any other line. */
export function parseAuditHead(line: string): AuditHead | null {
  if (!line.includes('"chainId"')) return null;
  try {
    const { chainId, day, position, head } = JSON.parse(line) as Record<string, unknown>;
    const isHead =
      typeof chainId === 'string' &&
      typeof day === 'string' &&
      Number.isSafeInteger(position) &&
      typeof head === 'string';
    return isHead ? { chainId, day, position: position as number, head } : null;
  } catch {
    // A gateway that is killed while it writes leaves a partial line.
    return null;
  }
}

/** Whether both heads agree about chain, position and hash. The days are not compared. */
export function isSameHead(one: AuditHead, other: AuditHead): boolean {
  return (
    one.chainId === other.chainId && one.position === other.position && one.head === other.head
  );
}
