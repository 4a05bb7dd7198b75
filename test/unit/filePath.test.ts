import { describe, expect, it } from 'vitest';
import {
  filePath,
  isBadPath,
  isWhole,
  nameOf,
  parsePathBytes,
  parsePathText,
} from '../../src/domain/filePath.ts';
import { fc } from '../support/seeded.ts';

const textOf = (given: string) => {
  const path = parsePathText(given);
  return isBadPath(path) ? path.problem : path.text;
};

describe('a path', () => {
  it.each([
    ['a.csv', 'a.csv'],
    ['data/a.csv', 'data/a.csv'],
    ['/tmp/a.csv', '/tmp/a.csv'],
    ['./data//a.csv', 'data/a.csv'],
    ['data/', 'data'],
    ['', '.'],
    ['.', '.'],
    ['./', '.'],
    ['/', '/'],
    ['//', '/'],
    ['..%2f', '..%2f'],
    ['...', '...'],
    ['a\nb"\'\\', 'a\nb"\'\\'],
    ['\uFFFD', '\uFFFD'],
    [`/${'a/'.repeat(2_047)}`, `/${'a/'.repeat(2_047).slice(0, -1)}`],
    ['a/'.repeat(2_042), 'a/'.repeat(2_042).slice(0, -1)],
  ])('%j is %j', (given, text) => {
    expect(textOf(given)).toBe(text);
  });

  it.each([
    ['..', '`..`'],
    ['data/../a', '`..`'],
    ['/tmp/..', '`..`'],
    ['a\0b', 'U+0000'],
    ['a\uD800', 'lone surrogates'],
    ['n'.repeat(256), 'has a name of 256 bytes, at most 255'],
    ['é'.repeat(128), 'has a name of 256 bytes, at most 255'],
    ['a/'.repeat(2_048), 'is 4096 bytes, at most 4095'],
    ['a/'.repeat(2_045), 'is, from the root, 4100 bytes, at most 4095'],
  ])('%j is refused', (given, words) => {
    expect(textOf(given)).toContain(words);
  });

  it('keeps bytes that are not UTF-8, and shows them escaped', () => {
    const path = parsePathBytes(Buffer.from('c3a92fff2f80', 'hex'));
    expect(path).toMatchObject({ text: 'é/\\xff/\\x80', isUtf8: false });
    expect(isBadPath(path) ? null : path.bytes.toString('hex')).toBe('c3a92fff2f80');
  });

  it('has a last name', () => {
    expect(nameOf(filePath(Buffer.from('/tmp/a.csv'))).text).toBe('a.csv');
    expect(nameOf(filePath(Buffer.from('.'))).text).toBe('.');
    expect(nameOf(filePath(Buffer.from('/'))).text).toBe('/');
  });

  it('is whole if it is the home or the root', () => {
    const whole = (path: string) => isWhole(filePath(Buffer.from(path)));
    expect(['.', '/', '/home/user'].map(whole)).toEqual([true, true, true]);
    expect(['a', '/a', 'home/user', '/home/user/a'].map(whole)).toEqual(Array(4).fill(false));
  });
});

describe('any bytes', () => {
  it('are refused, or are a path that is parsed to itself', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const path = parsePathBytes(Buffer.from(bytes));
        if (isBadPath(path)) return;
        const again = parsePathBytes(path.bytes);
        expect(again).toEqual(path);
        expect(path.text.isWellFormed()).toBe(true);
      }),
    );
  });
});
