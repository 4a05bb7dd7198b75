/**
 * The hashes of the audit chain, as `migrations/sql/cellhouse_seal.sql` defines them. They are computed here a second
 * time, because a database cannot vouch for itself.
 */
import { createHash } from 'node:crypto';

/** The columns of `events` as PostgreSQL's own text, without a cast that this database could define. */
export interface EventText {
  readonly position: number;
  readonly eventId: string;
  readonly streamId: string;
  readonly version: string;
  readonly type: string;
  readonly schemaVersion: string;
  /** Seconds since 1970, with decimals. */
  readonly recordedAt: string;
  readonly metadata: string;
  readonly data: string;
}

export function leafOf(salt: Uint8Array, event: EventText): Buffer {
  return createHash('sha256').update(salt).update(leafText(event)).digest();
}

function leafText(event: EventText): string {
  const { position, eventId, streamId, version, type, schemaVersion, metadata, data } = event;
  const recordedAt = millisecondsOf(event.recordedAt);
  return `${position}\n${eventId}\n${streamId}\n${version}\n${type}\n${schemaVersion}\n${recordedAt}\n${metadata}\n${data}`;
}

/** Whole milliseconds, of digits alone: a number could not hold every time of PostgreSQL. */
function millisecondsOf(seconds: string): string {
  const [, sign = '', whole = '', decimals = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(seconds) ?? [];
  // Infinity has no digits.
  if (whole === '') return seconds;
  const digits = `${whole}${decimals.padEnd(3, '0').slice(0, 3)}`.replace(/^0+(?=\d)/, '');
  return digits === '0' ? digits : `${sign}${digits}`;
}

/** The head at position 0. */
export function firstHead(chainId: string): Buffer {
  return createHash('sha256').update(`cellhouse chain 1${chainId}`).digest();
}

/** The head after the link of one more event. */
export function nextHead(head: Uint8Array, position: number, leaf: Uint8Array): Buffer {
  const at = Buffer.alloc(8);
  at.writeBigInt64BE(BigInt(position));
  return createHash('sha256').update(head).update(at).update(leaf).digest();
}
