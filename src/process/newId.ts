/** The only place where ids are made. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import type { AnyId, NewId } from '../domain/ids.ts';

const ID_BYTES = 16;
/** Random bytes are fetched for many ids at once, because fetching takes longer than all the rest. */
const random = Buffer.alloc(256 * ID_BYTES);
let used = random.length;
let lastMs = 0;
let seq = 0;

/** The production {@link NewId}. Ids of one process sort in the order in which they were made. */
export const newId: NewId = <T extends AnyId>() => {
  const bytes = nextRandom();
  const now = Date.now();
  // A counter orders the ids within a millisecond, and while the clock is behind the last id. It has 32 bits and begins
  // in the lower half, so it has room for at least two thousand million ids.
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
