import type { ExecutionId } from '../../domain/ids.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { ReadInput } from '../../events/queries/executionQueries.ts';
import { MAX_CALL_INPUT_BYTES } from '../../kernel/agent/operations.ts';

/**
 * Reads the recorded input of one execution in pieces that fit into a call to the agent. It keeps one piece until the
 * agent has taken all of it. So it keeps at most {@link MAX_CALL_INPUT_BYTES} for an execution that does not read its
 * input.
 */
export interface InputReader {
  /**
   * The bytes from `offset` on: the rest of the kept piece, or else at most as many as fit into one call. Empty if
   * there are none.
   * @throws Error if secret bytes are gone, because the execution has ended
   */
  read(offset: number): Promise<Buffer>;
  /** The agent has taken everything before `offset`. The kept piece is dropped if it ends there or earlier. */
  forget(offset: number): void;
}

const NOTHING: { readonly start: number; readonly bytes: Buffer } = {
  start: 0,
  bytes: Buffer.alloc(0),
};

export function createInputReader(readInput: Queries['inputIn'], id: ExecutionId): InputReader {
  let kept = NOTHING;
  /** No event before this version has bytes at this offset or later. */
  let known: Pick<ReadInput, 'offset' | 'version'> = { offset: 0, version: 1 };

  async function readAt(start: number): Promise<Buffer> {
    const range = { start, end: start + MAX_CALL_INPUT_BYTES };
    // The agent's count goes back only if an answer was lost.
    const pieces = await readInput(id, range, known.offset <= start ? known.version : 1);
    const [first] = pieces;
    if (first) known = { offset: first.offset, version: first.version };
    const parts = pieces.map(({ offset, bytes }) => {
      if (bytes === null) throw new Error('The input is gone: its execution has ended.');
      return bytes.subarray(Math.max(0, start - offset), range.end - offset);
    });
    return Buffer.concat(parts);
  }

  return {
    read: async (offset) => {
      const isKept = offset >= kept.start && offset < kept.start + kept.bytes.length;
      if (!isKept) kept = { start: offset, bytes: await readAt(offset) };
      return kept.bytes.subarray(offset - kept.start);
    },
    forget: (offset) => {
      if (offset >= kept.start + kept.bytes.length) kept = NOTHING;
    },
  };
}
