/** The only place where ids are made. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import type { AnyId, NewId } from '../domain/ids.ts';

/** Size of an id. Random bytes for 256 ids are fetched together, because fetching costs more than all else. */
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
    // In the same millisecond, or if the clock went back, ids count up from a random 31-bit number.
    seq = now > msecs ? random.readUInt32BE(used) >>> 1 : seq + 1;
    msecs = Math.max(msecs, now);
    used += ID_BYTES;
    return v7({ random: random.subarray(used - ID_BYTES, used), msecs, seq }) as T;
  };
}
