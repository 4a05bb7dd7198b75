/** How much input a gateway keeps in memory while code does not read it. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { MAX_CALL_INPUT_BYTES } from '../../src/kernel/agent/operations.ts';
import { createInputReader, type InputReader } from '../../src/worker/inputDelivery.ts';
import { collectGarbage } from '../support/ownProcess.ts';

const PIECE_BYTES = 65_536;
const PIECES = 16;
const READERS = 20;
/** Room for the memory that the test itself allocates. */
const SLACK_BYTES = 65_536;

let readBytes: number;
let readers: InputReader[];
beforeEach(() => {
  readBytes = 0;
  readers = Array.from({ length: READERS }, (_, n) =>
    createInputReader(async (_id, { start, end }) => {
      const places = Array.from({ length: PIECES }, (_each, index) => index * PIECE_BYTES);
      const found = places.filter((offset) => offset < end && offset + PIECE_BYTES > start);
      readBytes += found.length * PIECE_BYTES;
      return found.map((offset) => ({
        version: 2 + offset / PIECE_BYTES,
        offset,
        length: PIECE_BYTES,
        bytes: Buffer.alloc(PIECE_BYTES, String(n % 10)),
      }));
    }, `execution-${n}` as ExecutionId),
  );
});

function liveBufferBytes(): number {
  collectGarbage();
  // Another thread frees the buffers that this collection has found. The next collection waits for that thread.
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

async function readAll(offset: number): Promise<void> {
  for (const reader of readers) {
    const bytes = await reader.read(offset);
    if (bytes.length !== MAX_CALL_INPUT_BYTES) throw new Error(`It gave ${bytes.length} bytes.`);
  }
}

describe('a reader of input', () => {
  it('keeps what one call can take while the agent has no room, and nothing that the agent has taken', async () => {
    const before = liveBufferBytes();
    await readAll(0);
    const kept = liveBufferBytes() - before;
    expect(kept).toBeLessThanOrEqual(READERS * MAX_CALL_INPUT_BYTES + SLACK_BYTES);
    for (const reader of readers) reader.forget(MAX_CALL_INPUT_BYTES - 1);
    expect(liveBufferBytes() - before).toBeGreaterThan(kept - SLACK_BYTES);
    for (const reader of readers) reader.forget(MAX_CALL_INPUT_BYTES);
    expect(liveBufferBytes() - before).toBeLessThanOrEqual(SLACK_BYTES);
  });

  it('reads no piece twice while the agent has no room, or has taken only a part', async () => {
    for (let n = 0; n < 3; n += 1) await readAll(PIECE_BYTES / 4);
    expect(readBytes).toBe(READERS * PIECE_BYTES);
    const [reader] = readers;
    const half = MAX_CALL_INPUT_BYTES / 2;
    expect(await reader?.read(PIECE_BYTES / 4 + half)).toHaveLength(half);
    expect(readBytes).toBe(READERS * PIECE_BYTES);
  });
});
