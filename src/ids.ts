/**
 * The one place where ids are minted and parsed. All are UUIDs (v7, RFC 9562: they sort by time, which keeps index
 * pages warm); the brand keeps a worker's from being passed where a session's is wanted.
 */
import { randomFillSync } from 'node:crypto';
import { v7, validate } from 'uuid';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type WorkerId = Id<'worker'>;
export type SessionId = Id<'session'>;
export type ExecutionId = Id<'execution'>;
export type PoolId = Id<'pool'>;
export type GatewayId = Id<'gateway'>;
export type EventId = Id<'event'>;

type AnyId = WorkerId | SessionId | ExecutionId | PoolId | GatewayId | EventId;

/** Mints a fresh id. Injected wherever ids are made, so that tests can name them. */
export type NewId = <T extends AnyId>() => T;

/** Of an id. Random bytes are asked for 256 ids at a time, for the asking costs more than the rest of an id. */
const ID_BYTES = 16;
const IDS_PER_ASKING = 256;

/** The production {@link NewId}. Ids of one process sort in the order in which they were made. */
export const newId: NewId = createNewId();

function createNewId(): NewId {
  const random = Buffer.alloc(ID_BYTES * IDS_PER_ASKING);
  let used = random.length;
  let msecs = 0;
  let seq = 0;

  return <T extends AnyId>() => {
    if (used === random.length) {
      randomFillSync(random);
      used = 0;
    }
    const now = Date.now();
    // Within a millisecond, and while the clock is behind, they count on from a random number of 31 bits.
    seq = now > msecs ? random.readUInt32BE(used) >>> 1 : seq + 1;
    msecs = Math.max(msecs, now);
    used += ID_BYTES;
    return v7({ random: random.subarray(used - ID_BYTES, used), msecs, seq }) as T;
  };
}

/** The id in `text` (lower-cased), or null when it is no UUID: such an id names nothing. */
export function parseId<T extends AnyId>(text: string): T | null {
  return validate(text) ? (text.toLowerCase() as T) : null;
}
