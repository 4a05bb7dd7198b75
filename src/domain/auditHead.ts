/** The head of the audit chain at the end of a day. It is known to more than the database, so nobody can change it. */
export interface AuditHead {
  /** The id of the chain, which is another one in each database. */
  readonly chainId: string;
  /** The day (UTC), `2026-01-31`, or `-infinity` where the chain reached the present for the first time. */
  readonly day: string;
  /** The position of the last event up to which the head counts. */
  readonly position: number;
  /** In hexadecimal. */
  readonly head: string;
}

/** What a gateway knows of the chain. */
export interface AuditStatus {
  /** How many events the chain does not have yet. */
  readonly unsealedEvents: number;
  /** How many heads of this gateway's own file the database does not have, or has with another content. */
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
    // A gateway that was killed while it wrote leaves a part of a line.
    return null;
  }
}

/** Whether both say the same of the same day. */
export function isSameHead(one: AuditHead, other: AuditHead): boolean {
  return (
    one.chainId === other.chainId && one.position === other.position && one.head === other.head
  );
}
