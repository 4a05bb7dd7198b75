import { expect, it } from 'vitest';
import { pauseAfter } from '../../src/service/watchers/watchers.ts';

it('a worker is asked for changes every 250 ms, less often if it answers slowly, and every 5 s at least', () => {
  expect([0, 10, 25, 100, 499, 500, 7_000, 150_000].map(pauseAfter)).toEqual([
    ...[250, 250, 250, 1_000, 4_990, 5_000, 5_000, 5_000],
  ]);
});
