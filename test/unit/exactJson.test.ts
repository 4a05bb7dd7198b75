/** Whole numbers in JSON keep their digits. */

import { describe, expect, it } from 'vitest';
import { jsonText, parseExactly } from '../../src/domain/exactJson.ts';
import { fc } from '../support/seeded.ts';

const MAX_DIGITS = 4_300;

/** A whole number that JavaScript would write with other digits. */
const beyondDoubles = fc
  .bigInt()
  .map((some) => (some < 0n ? some - 2n ** 53n : some + 2n ** 53n))
  .filter((some) => String(Number(some)) !== String(some));

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue(),
    beyondDoubles,
    fc.bigInt().map(String),
    fc.array(tie('value')),
    fc.dictionary(
      fc.oneof(fc.string(), fc.bigInt().map(String), fc.constant('"1":')),
      tie('value'),
    ),
  ),
}));

describe('parseExactly', () => {
  it.each([
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    // Both are exact as doubles, but JavaScript writes the second as 1152921504606847000.
    ['100000000000000000000', 100000000000000000000],
    ['1152921504606846976', 1152921504606846976n],
    ['1e300', 1e300],
    ['9007199254740993.0', 9007199254740992],
    ['9007199254740993e1', 90071992547409940],
    ['0.12345678901234567', 0.12345678901234566],
    ['"9007199254740993"', '9007199254740993'],
  ])('%s', (text, value) => expect(parseExactly(text)).toBe(value));

  it('leaves strings and keys unchanged, whatever surrounds a number', () => {
    const text = String.raw`{"9007199254740993":["\\",9007199254740993,"\"9007199254740993",[9007199254740993]],"":"\\\"1"}`;
    expect(parseExactly(text)).toEqual({
      '9007199254740993': ['\\', 9007199254740993n, '"9007199254740993', [9007199254740993n]],
      '': '\\"1',
    });
  });

  it('takes the last of two equal keys, and a key of any name', () => {
    const text = '{"a":9007199254740993,"a":"9007199254740993","b":"x","b":9007199254740993}';
    expect(parseExactly(text)).toEqual({ a: '9007199254740993', b: 9007199254740993n });
    const odd = parseExactly('{"__proto__":9007199254740993}') as object;
    expect(Object.entries(odd)).toEqual([['__proto__', 9007199254740993n]]);
  });

  it('refuses text that is not JSON, and numbers that are too long for Python', () => {
    for (const text of ['', '{', '[9007199254740993', '9007199254740993n'])
      expect(() => parseExactly(text)).toThrow(SyntaxError);
    expect(parseExactly('9'.repeat(MAX_DIGITS))).toBe(10n ** BigInt(MAX_DIGITS) - 1n);
    expect(parseExactly(`-${'9'.repeat(MAX_DIGITS)}`)).toBe(1n - 10n ** BigInt(MAX_DIGITS));
    expect(() => parseExactly('9'.repeat(MAX_DIGITS + 1))).toThrow(SyntaxError);
  });

  it('reads any depth', () => {
    const depth = 200_000;
    const text = `${'['.repeat(depth)}9007199254740993${']'.repeat(depth)}`;
    expect(parseExactly(text)).toBeInstanceOf(Array);
  });

  it('gives the same as JSON.parse if doubles can hold all numbers', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseExactly(text)).toEqual(JSON.parse(text));
      }),
    );
  });
});

describe('jsonText', () => {
  it('writes text that parseExactly reads back unchanged', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const text = jsonText(value);
        expect(jsonText(parseExactly(text))).toBe(text);
        expect(JSON.stringify(parseExactly(text), bigIntAsText)).toBe(
          JSON.stringify(value, bigIntAsText),
        );
      }),
    );
  });

  it('leaves out values that JSON cannot express, as JSON.stringify does', () => {
    const value = { a: undefined, f: () => 1, list: [undefined, 1n], at: new Date(0) };
    expect(jsonText(value)).toBe('{"list":[null,1],"at":"1970-01-01T00:00:00.000Z"}');
  });

  it('refuses a value that contains itself', () => {
    const circle: Record<string, unknown> = {};
    circle.circle = circle;
    expect(() => jsonText(circle)).toThrow(RangeError);
  });
});

function bigIntAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `bigint ${value}` : value;
}
