import { expect, it } from 'vitest';
import { urlOfChange } from '../../src/domain/executionFiles.ts';

it.each([
  ['out/é b.png', '/files/ann/out/%C3%A9%20b.png'],
  ['..%2f', '/files/ann/..%252f'],
  // The worker writes both a byte that is not UTF-8 and a real backslash with one backslash.
  ['\\xff', null],
  ['a\\b', null],
  // No worker of this project reports these.
  ['../bob/x', null],
  ['a/../../bob/x', null],
  ['a//b', null],
  ['./a', null],
])('the URL of the changed file %j is %j', (path, url) => {
  expect(urlOfChange('ann', { path, change: 'CREATED' })).toBe(url);
});

it('a deleted file has no URL', () => {
  expect(urlOfChange('ann', { path: 'a', change: 'DELETED' })).toBeNull();
});
