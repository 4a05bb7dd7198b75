/** Memory for a download, used again and again. */

/**
 * Enough for a small file and the head of its answer, so that many small downloads need no large memory. A connection
 * has at most some 200 KiB ready at once, so a larger piece would stay half empty.
 */
const FIRST_BYTES = 65_536;
const PIECE_BYTES = 262_144;

export interface Pieces {
  /** Memory that nobody uses: what was given back, else new memory. */
  next(): Buffer;
  /** @param piece what was read into the memory: a part of it, or all */
  giveBack(piece: Buffer): void;
}

/**
 * Memory that V8 has to collect costs a download more than the bytes themselves do, because V8 collects the whole heap
 * again and again for it.
 */
export function createPieces(): Pieces {
  const free: ArrayBufferLike[] = [];
  let made = 0;
  return {
    next: () => {
      const known = free.pop();
      if (known) return Buffer.from(known);
      made = made === 0 ? FIRST_BYTES : PIECE_BYTES;
      // Not from Node's pool of small buffers, which is shared.
      return Buffer.allocUnsafeSlow(made);
    },
    giveBack: ({ buffer }) => {
      // The first memory is too small for a file that has needed more.
      if (buffer.byteLength === made) free.push(buffer);
    },
  };
}
