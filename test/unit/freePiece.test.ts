import { describe, expect, it } from 'vitest';
import { createFreePiece } from '../../src/server/http/files/fileAnswers.ts';

describe('freeing a piece', () => {
  const free = createFreePiece();

  it('gives its memory back at once', () => {
    const before = process.memoryUsage().arrayBuffers;
    const pieces = Array.from({ length: 64 }, () => Buffer.alloc(1_048_576, 1));
    for (const piece of pieces) free(piece);
    // A garbage collection cannot have freed the pieces, because the array still refers to them.
    expect(pieces.map(({ length }) => length)).toEqual(pieces.map(() => 0));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1_048_576);
  });

  it('leaves memory alone that other pieces may share', () => {
    const memory = Buffer.from('two pieces of one memory');
    const piece = memory.subarray(0, 3);
    free(piece);
    free(Buffer.from('of the pool of small buffers'));
    expect(piece.toString()).toBe('two');
    expect(memory.toString()).toBe('two pieces of one memory');
  });

  it('may be repeated', () => {
    const piece = Buffer.alloc(100_000);
    free(piece);
    free(piece);
    expect(piece.length).toBe(0);
  });
});
