import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { newId } from '../../src/process/newId.ts';
import { renderedText, shownText } from '../../src/service/answer/renderedText.ts';
import { fc } from '../support/seeded.ts';

describe('renderedText', () => {
  it.each([
    ['plain\ntext\n', 'plain\ntext\n'],
    ['  0%|   \r 50%|#  \r100%|###\n', '100%|###\n'],
    ['long line\rshort\n', 'shortline\n'],
    ['windows\r\nlines\r\n', 'windows\nlines\n'],
    ['abc\b\bX', 'aXc'],
    ['\b\bstart', 'start'],
    ['working...\r\u001b[Kdone\n', 'done\n'],
    ['working...\r\u001b[2Kdone', 'done'],
    ['one\ntwo\n\u001b[A\rTWO\n', 'one\nTWO\n'],
    ['outer\ninner\u001b[A\rOUTER\n', 'OUTER\ninner'],
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007text', 'text'],
    ['\u001b[38:5:196mred\u001b[m', 'red'],
    ['\u001b[>4;1mmodified', 'modified'],
    ['\u001b[1mbold\u001b(B\u001b[m', 'bold'],
    ['abcdef\b\b\u001b[1K', '     f'],
    ['\u001b\u0001x', '\u0001x'],
    ['cut \u001b[3', 'cut '],
    ['cut \u001b', 'cut '],
    ['héllo 😀\rH', 'Héllo 😀'],
    ['😀😀\r😎', '😎😀'],
  ])('shows %j as %j', (text, shown) => {
    expect(renderedText(text)).toBe(shown);
  });

  it('does not change text that does not move the cursor', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: the test removes control characters.
        const still = text.replaceAll(/[\r\b\u001b]/g, '');
        expect(renderedText(still)).toBe(still);
      }),
    );
  });

  it('never fails and never grows, whatever is written', () => {
    const part = fc.constantFrom(
      '\r',
      '\b',
      '\n',
      '\u001b[A',
      '\u001b[K',
      '\u001b[1K',
      '\u001b',
      'ab',
      '😀',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        const text = parts.join('');
        expect(renderedText(text).length).toBeLessThanOrEqual(text.length);
      }),
    );
  });

  it('draws up to a million characters, and refuses more; plain text may have any length', () => {
    expect(() => renderedText(`\r${'a'.repeat(1_048_576)}`)).toThrow(
      /1048577 characters .*at most 1048576/,
    );
    expect(renderedText(`\r${'a'.repeat(1_048_575)}`)).toHaveLength(1_048_575);
    expect(renderedText('a'.repeat(2_000_000))).toHaveLength(2_000_000);
  });

  it('renders a bar within a second, even if it was drawn ten thousand times', () => {
    const bar = Array.from({ length: 10_000 }, (_, n) => `\r${String(n).padStart(80)}`).join('');
    const startedAt = performance.now();
    expect(renderedText(bar)).toBe('9999'.padStart(80));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it.each(['\r', '\b', '\u001b[A', '\u001b[A\n', '\u001b[Ax', '\rx', '\u001b[K', '\u001b'])(
    'renders a long line within two seconds, even if a hundred thousand %j follow it',
    (control) => {
      const text = `${'line\n'.repeat(1_000)}${'a'.repeat(500_000)}${control.repeat(100_000)}`;
      const startedAt = performance.now();
      expect(renderedText(text).length).toBeLessThanOrEqual(text.length);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
    },
  );
});

describe('shownText', () => {
  const item = (output: OutputItem['output']): OutputItem => ({
    executionId: newId<ExecutionId>(),
    seq: 1,
    at: new Date(),
    output,
  });
  const line = (text: string) => item({ kind: 'stream', name: 'stdout', text });
  const clear = (wait: boolean) => item({ kind: 'clear', wait });

  it.each([
    ['clears at once', [line('a'), clear(false), line('b')], 'b'],
    ['clears at once, even if nothing follows', [line('a'), clear(false)], ''],
    ['waits for more before it clears', [line('a'), clear(true)], 'a'],
    ['clears when there is more', [line('a'), clear(true), line('b'), line('c')], 'bc'],
    ['draws a bar over several messages', [line('\r 10%'), line('\r100%\n')], '100%\n'],
  ])('%s', (_name, items, shown) => {
    expect(shownText(items, 'stdout')).toBe(shown);
  });
});
