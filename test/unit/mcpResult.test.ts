/** Which parts of a long or rich output are in an MCP result. */

import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { Output, OutputItem } from '../../src/domain/output.ts';
import {
  collect,
  createKeptText,
  imageOf,
  MAX_IMAGE_CHARS,
  MAX_RESULT_CHARS,
  RESULT,
  resultOf,
  shares,
  shownText,
} from '../../src/doors/mcp/result.ts';
import { fc } from '../support/seeded.ts';

const ID = '01a220f9-2cac-771c-99e3-637367f5bd96';
const NOW = new Date('2026-11-28T07:00:10Z');

describe('a kept text', () => {
  it('is whole up to its limit; beyond it, two thirds are the beginning and one third is the end', () => {
    const text = createKeptText();
    text.add('a'.repeat(20_000));
    text.add('b'.repeat(10_000));
    expect(text.cutTo(MAX_RESULT_CHARS)).toBe('a'.repeat(20_000) + 'b'.repeat(10_000));
    text.add('c'.repeat(1_000_000));
    expect(text.chars).toBe(1_030_000);
    expect(text.cutTo(MAX_RESULT_CHARS)).toBe(
      `${'a'.repeat(20_000)}\n[… 1000000 characters are cut out here …]\n${'c'.repeat(10_000)}`,
    );
    expect(text.cutTo(30)).toBe(
      `${'a'.repeat(20)}\n[… 1029970 characters are cut out here …]\n${'c'.repeat(10)}`,
    );
  });

  it('is the same however it was divided, and as a terminal shows it', () => {
    const line = ' 10%|#    |\r 90%|#### |\r100%|#####|\n\u001b[31mred\u001b[0m\n';
    fc.assert(
      fc.property(fc.array(fc.nat(line.length * 3)), (cuts) => {
        const text = createKeptText();
        const all = line.repeat(3);
        let from = 0;
        for (const to of [...cuts].sort((a, b) => a - b)) {
          text.add(all.slice(from, to));
          from = to;
        }
        text.add(all.slice(from));
        expect(text.cutTo(1_000)).toBe('100%|#####|\nred\n'.repeat(3));
      }),
    );
  });

  it('never has half of a character', () => {
    const text = createKeptText();
    text.add('😀'.repeat(10));
    expect(text.cutTo(9).isWellFormed()).toBe(true);
  });
});

it('short texts are whole, and long ones share what is left evenly', () => {
  expect(shares([10, 5, 1_000, 2_000], 1_015)).toEqual([10, 5, 500, 500]);
  expect(shares([0, 0, 0, 0], 100)).toEqual([0, 0, 0, 0]);
  expect(shares([200, 50], 100)).toEqual([50, 50]);
});

describe('a rich output', () => {
  const rich = (data: Record<string, unknown>) =>
    ({ kind: 'display', data, metadata: {}, displayId: null, executionCount: null }) as const;

  it.each([
    ['plain text before markup', { 'text/plain': 'a  b', 'text/html': '<table>' }, 'a  b'],
    [
      'markup of an object without a text',
      { 'text/plain': '<X object>', 'text/html': '<b>' },
      '<b>',
    ],
    [
      'plain text instead of long markup',
      { 'text/plain': '<X object>', 'text/html': 'x'.repeat(2_001) },
      '<X object>',
    ],
    ['lines that come as a list', { 'text/plain': ['a\n', 'b'] }, 'a\nb'],
    ['nothing if there is no text', { 'application/json': {} }, null],
  ])('is shown as %s', (_, data, shown) => {
    expect(shownText(rich(data))).toBe(shown);
  });

  it('has its image without the line breaks of its base64', () => {
    expect(imageOf(rich({ 'image/jpeg': 'ab\ncd\n' }))).toEqual({
      data: 'abcd',
      mimeType: 'image/jpeg',
    });
    expect(imageOf(rich({ 'image/svg+xml': '<svg>' }))).toBeNull();
  });

  it.each(['', 'no base64!', 'abc', 'ab=c', 'a===', 'äbcd', 'ab-_'])(
    'has no image if its base64 is %j, because a host would refuse the whole result',
    (data) => {
      const shown = rich({ 'image/png': data, 'image/jpeg': 'abcd', 'text/plain': 'a' });
      expect(imageOf(shown)).toEqual({ data: 'abcd', mimeType: 'image/jpeg' });
      expect(imageOf(rich({ 'image/png': data, 'text/plain': 'a' }))).toBeNull();
    },
  );
});

describe('a result', () => {
  const execution = (more: Partial<Execution>) =>
    ({
      id: ID,
      status: 'OK',
      exitCode: null,
      truncated: false,
      stateLost: false,
      runMs: 12,
      startedAt: new Date('2026-11-28T07:00:00Z'),
      finishedAt: NOW,
      ...more,
    }) as Execution;

  async function resultFrom(outputs: readonly Output[], more: Partial<Execution> = {}) {
    const items = outputs.map(
      (output, index) => ({ executionId: ID, seq: index + 1, at: NOW, output }) as OutputItem,
    );
    const service = {
      // Each page has one item, so that pages must be put together.
      outputPage: async (_: unknown, after: number) => ({
        items: items.slice(after, after + 1),
        isEnd: after >= items.length,
      }),
    };
    const ran = execution(more);
    const collected = await collect(service, ran, 0);
    const result = resultOf({
      execution: ran,
      collected,
      sessionId: 's',
      knowsLinks: true,
      now: NOW,
    });
    const text = result.content.flatMap((block) => (block.type === 'text' ? [block.text] : []));
    return { ...result, data: RESULT.parse(result.structuredContent), text: text.join('') };
  }

  const stream = (text: string, name: 'stdout' | 'stderr' = 'stdout'): Output => ({
    kind: 'stream',
    name,
    text,
  });
  const image = (data: string, displayId: string | null = null): Output => ({
    kind: displayId === null ? 'display' : 'update',
    data: { 'image/png': data },
    metadata: {},
    displayId,
    executionCount: null,
  });

  it('has what was printed, then the value, then the ids and the status', async () => {
    const value: Output = {
      kind: 'result',
      data: { 'text/plain': '42' },
      metadata: {},
      displayId: null,
      executionCount: 1,
    };
    const { text, data, isError } = await resultFrom([
      stream('a\n'),
      stream('careful', 'stderr'),
      value,
    ]);
    expect(text).toBe(`a\nstderr:\ncareful\n42\nsession_id=s execution_id=${ID} status=ok`);
    expect(data).toMatchObject({ stdout: 'a\n', stderr: 'careful', result: '42', next_seq: 3 });
    expect(isError).toBe(false);
  });

  it('of code that raised has the traceback without colours, and what was printed before', async () => {
    const raised: Output = {
      kind: 'error',
      name: 'ValueError',
      value: 'no',
      traceback: ['\u001b[31mTraceback\u001b[0m', 'ValueError: no'],
    };
    const { text, data, isError } = await resultFrom([stream('a\n'), raised], { status: 'ERROR' });
    expect(text).toMatch(/^a\nTraceback\nValueError: no\n/);
    expect(data.error).toEqual({
      name: 'ValueError',
      message: 'no',
      traceback: 'Traceback\nValueError: no',
    });
    expect(isError).toBe(true);
  });

  it('of code that runs on is not an error, and says how to get the rest', async () => {
    const { text, data, isError } = await resultFrom([stream('a')], {
      status: 'RUNNING',
      finishedAt: null,
      runMs: null,
    });
    expect(text).toContain(`get_execution with execution_id="${ID}"`);
    expect(data).toMatchObject({ status: 'running', duration_ms: 10_000 });
    expect(isError).toBe(false);
  });

  it('has at most five images of at most 1 MiB, and says where the others are', async () => {
    const large = image('x'.repeat(MAX_IMAGE_CHARS + 4));
    const { content, data, text } = await resultFrom([
      large,
      ...Array.from({ length: 6 }, (_, index) => image(`000${index}`)),
    ]);
    const shown = content.flatMap((block) => (block.type === 'image' ? [block.data] : []));
    expect(shown).toEqual(['0000', '0001', '0002', '0003', '0004']);
    expect(data).toMatchObject({ images: 7, truncated: true });
    expect(text).toContain(`cellhouse://executions/${ID}/images/1]`);
    expect(text).toContain(`cellhouse://executions/${ID}/images/7]`);
    expect(content.at(-1)).toMatchObject({
      type: 'resource_link',
      uri: `cellhouse://executions/${ID}/output`,
    });
  });

  it('shows an updated image only once, in its last state', async () => {
    const { content } = await resultFrom([image('aaaa', 'one'), image('bbbb', 'one')]);
    const shown = content.flatMap((block) => (block.type === 'image' ? [block.data] : []));
    expect(shown).toEqual(['bbbb']);
  });

  it('leaves out what was cleared', async () => {
    const clear: Output = { kind: 'clear', wait: true };
    const { text } = await resultFrom([stream('1%'), image('aaaa'), clear, stream('100%')]);
    expect(text).toMatch(/^100%\nsession_id/);
  });

  it('says how much output is missing, and why', async () => {
    const gap: Output = { kind: 'gap', reason: 'output_limit', droppedBytes: 7 };
    const { text, data } = await resultFrom([stream('a\n'), gap]);
    expect(text).toContain('[7 bytes of output is missing: output_limit]');
    expect(data.truncated).toBe(true);
  });

  it.each([
    ['TIMEOUT', 'time limit'],
    ['INTERRUPTED', 'interrupted'],
    ['CANCELLED', 'Nothing of it has run'],
    ['WORKER_LOST', 'not known'],
  ] as const)('of the status %s is an error that is explained in words', async (status, words) => {
    const { text, isError } = await resultFrom([], { status, stateLost: true });
    expect(text).toContain(words);
    expect(text).toContain('Variables and imports of earlier calls are gone');
    expect(isError).toBe(true);
  });
});
