import type { ExecutionId } from '../../domain/ids.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { ReadInput } from '../../events/queries/inputQueries.ts';
import { MAX_CALL_INPUT_BYTES } from '../../kernel/calls/operations/input.ts';

/** Reads the recorded input of one execution in pieces that fit into a call to the agent. */
export interface InputReader {
  /**
   * The bytes from `offset` on, as many as one call may have. Empty if there are none.
   * @throws Error if secret bytes are gone, because the execution has ended
   */
  read(offset: number): Promise<Buffer>;
}

export function createInputReader(readInput: Queries['inputAfter'], id: ExecutionId): InputReader {
  /** In order, without holes. */
  let kept: readonly ReadInput[] = [];
  /** No event before this version has bytes at this offset or later. */
  let known: Pick<ReadInput, 'offset' | 'version'> = { offset: 0, version: 1 };

  async function piecesAt(offset: number): Promise<readonly ReadInput[]> {
    kept = kept.filter((piece) => piece.offset + piece.length > offset);
    const [first] = kept;
    if (first && first.offset <= offset) return kept;
    // The agent's count goes back only if an answer was lost.
    kept = await readInput(id, offset, known.offset <= offset ? known.version : 1);
    known = kept[0] ?? known;
    return kept;
  }

  return {
    read: async (offset) => {
      const parts: Buffer[] = [];
      let room = MAX_CALL_INPUT_BYTES;
      for (const { offset: start, bytes } of await piecesAt(offset)) {
        if (bytes === null) throw new Error('The input is gone: its execution has ended.');
        const part = bytes.subarray(Math.max(0, offset - start)).subarray(0, room);
        parts.push(part);
        room -= part.length;
        if (room === 0) break;
      }
      return Buffer.concat(parts);
    },
  };
}
