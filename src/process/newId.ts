/** The only place where ids are made. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import type { AnyId, NewId } from '../domain/ids.ts';

const ID_BYTES = 16;
/** Random bytes are fetched for many ids at once, because a fetch takes longer than the rest of making an id. */
const random = Buffer.alloc(256 * ID_BYTES);
let used = random.length;
let lastMs = 0;
let seq = 0;

/** The production {@link NewId}. Ids of one process sort in the order in which they were made. */
export const newId: NewId = <T extends AnyId>() => {
  const bytes = nextRandom();
  const now = Date.now();
  // A counter orders the ids of one millisecond, and the ids that are made while the clock is behind the last id's
  // time. The counter has 32 bits and begins in the lower half, so at least 2^31 ids fit.
  seq = now > lastMs ? bytes.readUInt32BE() >>> 1 : seq + 1;
  lastMs = Math.max(now, lastMs);
  return v7({ random: bytes, msecs: lastMs, seq }) as T;
};

function nextRandom(): Buffer {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  used += ID_BYTES;
  return random.subarray(used - ID_BYTES, used);
}
