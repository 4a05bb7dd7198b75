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

/** Whole milliseconds as digits, because a JavaScript number cannot hold every one of PostgreSQL's times. */
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
  return createHash('sha256').update(head).update(bigEndian(position)).update(leaf).digest();
}

/** Takes the place of the leaf of an event that was deleted. */
const NOTHING_LEFT = Buffer.alloc(32);

/**
 * The digest of a removal: a hash over the positions of its events, in order, each with the leaf of what is left of the
 * event.
 */
export function createRemovalDigest() {
  const digest = createHash('sha256');
  return {
    /** @param leaf null if the event is deleted */
    add: (position: number, leaf: Uint8Array | null) => {
      digest.update(bigEndian(position)).update(leaf ?? NOTHING_LEFT);
    },
    /** In hexadecimal. To be called once. */
    end: () => digest.digest('hex'),
  };
}

function bigEndian(position: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(position));
  return bytes;
}
