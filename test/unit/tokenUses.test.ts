import { expect, it } from 'vitest';
import { createTokenUses } from '../../src/service/access/tokenCache.ts';

const T0 = Date.parse('2026-01-02T03:04:30.000Z');

it('uses are recorded once a minute and at the end, each token once, with the minute as the time', async () => {
  let now = new Date(T0);
  const recorded: [string[], string][] = [];
  const uses = createTokenUses(
    { recordTokenUses: async (ids, at) => void recorded.push([[...ids], at.toISOString()]) },
    () => now,
  );
  for (const id of ['a', 'b', 'a']) uses.use(id);
  await uses.recordSome();
  expect(recorded).toEqual([]);
  now = new Date(T0 + 60_000);
  await uses.recordSome();
  expect(recorded).toEqual([[['a', 'b'], '2026-01-02T03:05:00.000Z']]);
  uses.use('b');
  await uses.recordSome();
  now = new Date(T0 + 120_000);
  await uses.recordSome();
  await uses.recordSome();
  uses.use('c');
  await uses.close();
  await uses.close();
  expect(recorded.slice(1)).toEqual([
    [['b'], '2026-01-02T03:06:00.000Z'],
    [['c'], '2026-01-02T03:06:00.000Z'],
  ]);
});
