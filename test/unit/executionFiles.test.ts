import { expect, it } from 'vitest';
import { pathBytesOf } from '../../src/domain/executionFiles.ts';

it.each([
  ['out/é b.png', Buffer.from('out/é b.png')],
  ['\\xff', Buffer.of(0xff)],
  ['a\\\\xff', Buffer.from('a\\xff')],
  ['\\\\\\x80\\\\', Buffer.concat([Buffer.from('\\'), Buffer.of(0x80), Buffer.from('\\')])],
])('the path %j of a change has the bytes of the file', (path, bytes) => {
  expect(pathBytesOf({ path })).toEqual(bytes);
});
