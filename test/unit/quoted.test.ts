import { expect, it } from 'vitest';
import { quoted } from '../../src/domain/text.ts';

it('a value is quoted on one line, and cut if it is long', () => {
  expect(quoted('a "b"\n\u0000')).toBe(String.raw`"a \"b\"\n\u0000"`);
  expect(quoted('x'.repeat(200))).toBe(`"${'x'.repeat(200)}"`);
  expect(quoted('x'.repeat(201))).toBe(`"${'x'.repeat(200)}..."`);
});
