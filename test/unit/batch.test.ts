import { describe, expect, it } from 'vitest';
import type { Output } from '../../src/domain/output.ts';
import { addOutput, emptyBatch, type Job, segmentOf } from '../../src/worker/batch.ts';
import { fc } from '../support/seeded.ts';
import { queuedExecution } from '../support/states.ts';

const MAX_JOINED_CHARS = 64 * 1024;
const ITEM_OVERHEAD_BYTES = 256;

function job(): Job {
  return {
    execution: queuedExecution(),
    code: 'x',
    isTakenOver: false,
    nextSeq: 1,
    stateLost: false,
  };
}

const out = (text: string): Output => ({ kind: 'stream', name: 'stdout', text });
const err = (text: string): Output => ({ kind: 'stream', name: 'stderr', text });
const result: Output = {
  kind: 'result',
  data: { 'text/plain': '12345', 'application/json': { a: 1 } },
  metadata: {},
  displayId: null,
  executionCount: 1,
};

/** The batch of one job after these outputs, which come one millisecond apart. */
function gathered(...outputs: readonly Output[]) {
  const batch = emptyBatch();
  const one = job();
  for (const [index, output] of outputs.entries()) addOutput(batch, one, output, new Date(index));
  return { batch, outputs: segmentOf(batch, one).outputs };
}

describe('a batch', () => {
  it('joins adjacent pieces of one stream, at the time of the first', () => {
    expect(gathered(out('a'), out('b'), out('c')).outputs).toEqual([
      { output: out('abc'), at: new Date(0) },
    ]);
  });

  it('keeps the order between streams and other outputs', () => {
    const sent = [out('a'), err('b'), out('c'), result, out('d'), { kind: 'clear', wait: false }];
    expect(gathered(...(sent as Output[])).outputs.map(({ output }) => output)).toEqual(sent);
  });

  it('lets no piece grow beyond its limit by joining', () => {
    const half = out('x'.repeat(MAX_JOINED_CHARS / 2));
    const { outputs } = gathered(half, half, out('y'));
    expect(outputs.map(({ output }) => output)).toEqual([
      out('x'.repeat(MAX_JOINED_CHARS)),
      out('y'),
    ]);
  });

  it('never joins bytes that are not UTF-8', () => {
    const bytes: Output = { kind: 'stream', name: 'stdout', text: '\ufffd', base64: '/w==' };
    const { batch, outputs } = gathered(out('a'), bytes, bytes, out('b'), out('c'));
    expect(outputs.map(({ output }) => output)).toEqual([out('a'), bytes, bytes, out('bc')]);
    expect(batch.size).toBe(4 * ITEM_OVERHEAD_BYTES + 3 + 2 * 5);
  });

  it('never joins across executions', () => {
    const batch = emptyBatch();
    const [one, other] = [job(), job()];
    addOutput(batch, one, out('1'), new Date(0));
    addOutput(batch, other, out('2'), new Date(0));
    addOutput(batch, one, out('3'), new Date(0));
    expect(batch.segments.map(({ job: { execution }, outputs }) => [execution, outputs])).toEqual([
      [one.execution, [{ output: out('13'), at: new Date(0) }]],
      [other.execution, [{ output: out('2'), at: new Date(0) }]],
    ]);
  });

  it.each<[Output, number]>([
    [out('four'), 4],
    [{ ...result, metadata: { a: 'four' } }, 5 + '{"a":1}'.length + 4],
    [{ kind: 'error', name: 'E', value: '123', traceback: ['45', '6'] }, 6],
    [{ kind: 'clear', wait: true }, 0],
    [{ kind: 'input', prompt: 'abc', password: true }, 3],
    [{ kind: 'gap', reason: 'output_limit', droppedBytes: 9 }, 0],
  ])('counts the size of %o and the overhead of an item', (output, size) => {
    expect(gathered(output).batch.size).toBe(ITEM_OVERHEAD_BYTES + size);
  });

  it('counts the overhead of an item once for joined pieces, and once for each separate piece', () => {
    expect(gathered(out('1'), out('2')).batch.size).toBe(ITEM_OVERHEAD_BYTES + 2);
    expect(gathered(out('1'), err('2')).batch.size).toBe(2 * (ITEM_OVERHEAD_BYTES + 1));
  });

  it('holds the same text in the same order, however it was cut into pieces', () => {
    const piece = fc.record({
      name: fc.constantFrom('stdout' as const, 'stderr' as const),
      text: fc.string({ unit: 'binary' }),
    });
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const sent = pieces.map((each): Output => ({ kind: 'stream', ...each }));
        const { outputs } = gathered(...sent);
        expect(said(outputs.map(({ output }) => output))).toBe(said(sent));
        // No sent piece began or ended within a surrogate pair, so no joined piece may.
        for (const { output } of outputs)
          expect(output.kind === 'stream' && output.text.isWellFormed()).toBe(true);
      }),
    );
  });

  /** Each character with the stream it was written to. */
  function said(outputs: readonly Output[]): string {
    return outputs
      .flatMap((output) =>
        output.kind === 'stream'
          ? output.text.split('').map((character) => `${output.name}:${character}`)
          : [],
      )
      .join();
  }
});
