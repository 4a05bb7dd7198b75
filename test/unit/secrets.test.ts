import { expect, it } from 'vitest';
import { newE2bSecret, newSecret } from '../../src/process/dataDir.ts';
import { secretsIn } from '../../testkit/sharedServer.ts';

it('secrets are found anywhere in a text, and nothing else is', () => {
  const [one, two, own] = [newSecret(), newE2bSecret(), 'x'.repeat(16)];
  expect(secretsIn(`{"a":"${one}"}\n?token=${two}&${one}`, [own])).toEqual([one, two]);
  expect(secretsIn(`Bearer ${own}`, [own, 'Bearer'])).toEqual([own]);
  expect(secretsIn(`${one.slice(0, -1)} ${two.slice(0, -1)}`, [own])).toEqual([]);
});
