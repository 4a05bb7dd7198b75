import type { ExecutionId } from '../../domain/ids.ts';
import type { Queries } from '../../events/queries/createQueries.ts';

/**
 * Whether these bytes are the recorded input at this offset. At least as many bytes must be recorded there. Secret
 * bytes of an execution that has ended are gone, and count as the same.
 */
export async function isSameInput(
  { inputIn }: Pick<Queries, 'inputIn'>,
  id: ExecutionId,
  offset: number,
  bytes: Buffer,
): Promise<boolean> {
  const end = offset + bytes.length;
  let [at, from] = [offset, 1];
  while (at < end) {
    const pieces = await inputIn(id, { start: at, end }, from);
    if (pieces.length === 0) return false;
    for (const piece of pieces) {
      const until = Math.min(end, piece.offset + piece.length);
      if (
        piece.bytes &&
        !isWithin(piece.bytes, at - piece.offset, bytes.subarray(at - offset, until - offset))
      )
        return false;
      at = until;
      from = piece.version;
      if (at >= end) break;
    }
  }
  return true;
}

function isWithin(whole: Buffer, start: number, part: Buffer): boolean {
  return whole.subarray(start, start + part.length).equals(part);
}
