/** Fields of messages in the JSON of proto3. */
import { describe, expect, it } from 'vitest';
import {
  bytesIn,
  countIn,
  flagIn,
  messageIn,
  partIn,
  textIn,
} from '../../src/doors/e2b/envd/rpc.ts';

describe('a field', () => {
  it.each([{}, { a: null }])('that is absent has its default: %j', (message) => {
    expect(textIn(message, 'a')).toBe('');
    expect(countIn(message, 'a')).toBe(0);
    expect(flagIn(message, 'a')).toBe(null);
    expect(partIn(message, 'a')).toBe(null);
    expect(bytesIn(message, 'a')).toBe(null);
  });

  it('has its value', () => {
    const message = messageIn(Buffer.from('{"a":"é","b":7,"c":"7","d":false,"e":{"f":1}}'));
    expect(textIn(message, 'a')).toBe('é');
    expect([countIn(message, 'b'), countIn(message, 'c')]).toEqual([7, 7]);
    expect(flagIn(message, 'd')).toBe(false);
    expect(partIn(message, 'e')).toEqual({ f: 1 });
  });

  it.each(['+/8=', '-_8=', '-_8'])('of bytes is base64 of either alphabet: %s', (a) => {
    expect(bytesIn({ a }, 'a')).toEqual(Buffer.from([0xfb, 0xff]));
  });

  it.each([
    [() => textIn({ a: 1 }, 'a')],
    [() => countIn({ a: -1 }, 'a')],
    [() => countIn({ a: 1.5 }, 'a')],
    [() => countIn({ a: 'x' }, 'a')],
    [() => flagIn({ a: 'true' }, 'a')],
    [() => partIn({ a: [] }, 'a')],
    [() => bytesIn({ a: '%' }, 'a')],
    [() => bytesIn({ a: 1 }, 'a')],
  ])('of another type is refused', (read) => {
    expect(read).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});
